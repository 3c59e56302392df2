import { type KeyboardEvent, type ReactNode, useEffect, useId, useState } from "react";
import controls from "../controls.module.css";
import { fitting } from "../pure/completion";
import { Offers } from "./Offers";
import styles from "./Picker.module.css";

interface PickerProps {
  label: string;
  /** What is chosen; "" for nothing. */
  value: string;
  choices: readonly string[];
  placeholder?: string;
  onChoose: (value: string) => void;
}

const OFFERED_MAX = 12;

/** A line of text that takes one of many names: it offers those that fit what is written. */
export function Picker({ label, value, choices, placeholder, onChoose }: PickerProps): ReactNode {
  const id = useId();
  const [draft, setDraft] = useState(value);
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  useEffect(() => setDraft(value), [value]);
  // Whoever comes to what is chosen already sees all the others.
  const offers = fitting(
    choices.map((choice) => ({ value: choice })),
    draft === value ? "" : draft,
    OFFERED_MAX,
  );
  const isShown = isOpen && offers.length > 0;
  const close = (): void => {
    setOpen(false);
    setAt(-1);
  };
  const take = (chosen: string | undefined): void => {
    close();
    if (chosen === undefined) setDraft(value);
    else {
      setDraft(chosen);
      if (chosen !== value) onChoose(chosen);
    }
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    const { key } = event;
    if (event.nativeEvent.isComposing) return;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const by = key === "ArrowDown" ? 1 : -1;
      setAt(Math.max(0, Math.min(offers.length - 1, at + by)));
    } else if (key === "Enter") {
      event.preventDefault();
      const written = draft.trim();
      take(isShown && at >= 0 ? offers[at]?.value : choices.includes(written) ? written : offers[0]?.value);
    } else if (key === "Escape") {
      if (isShown) close();
      else event.currentTarget.blur();
    }
  };
  return (
    <span className={styles.picker}>
      <input
        className={`${controls.input} ${styles.input}`}
        role="combobox"
        aria-label={label}
        aria-expanded={isShown}
        aria-controls={isShown ? id : undefined}
        aria-autocomplete="list"
        aria-activedescendant={isShown && at >= 0 ? `${id}${at}` : undefined}
        placeholder={placeholder}
        spellCheck={false}
        autoComplete="off"
        value={draft}
        onFocus={(event) => {
          event.target.select();
          setOpen(true);
        }}
        onClick={() => setOpen(true)}
        onChange={(event) => {
          setDraft(event.target.value);
          setOpen(true);
          setAt(-1);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => take(choices.includes(draft.trim()) ? draft.trim() : undefined)}
      />
      {isShown ? (
        <Offers id={id} label={label} offers={offers} chosen={at} onChoose={(offer) => take(offer.value)} />
      ) : null}
    </span>
  );
}
