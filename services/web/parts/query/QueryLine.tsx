import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { ApiError, inWords } from "../../api/errors";
import { useKeys } from "../../app/keys";
import { useTenantId } from "../../app/place";
import { Button } from "../controls";
import { Icon } from "../icons";
import { completed, type Offer, type Writing, writingAt } from "../pure/completion";
import { around, type Mistake, mended } from "../pure/mistakes";
import { remembered, rememberQuery } from "./memory";
import { Offers } from "./Offers";
import { QueryHelp } from "./QueryHelp";
import styles from "./QueryLine.module.css";
import { useCompletion } from "./useCompletion";
import type { Queried } from "./useFieldNames";

interface QueryLineProps {
  signal: Queried;
  query: string;
  placeholder: string;
  label?: string;
  /** Of which metric, among others on the page: then there is nothing beside the line. */
  metric?: string;
  /** What the API said of the query, if it said something. */
  error: unknown;
  onRun: (query: string) => void;
}

/** What the list below the line offers: what may be written at the caret, or what was run before. */
type Offering = { of: "completion"; writing: Writing } | { of: "history" };

const HISTORY_SHOWN = 10;

/** One line that grows: it completes fields and values, Enter runs it, and a mistake is underlined where it is, with the
 * API's words below. */
export function QueryLine(props: QueryLineProps): ReactNode {
  const { signal, query, placeholder, label = "Query", metric, error, onRun } = props;
  const isAlone = metric === undefined;
  const tenantId = useTenantId();
  const id = useId();
  const [draft, setDraft] = useState(query);
  const [offering, setOffering] = useState<Offering>();
  const [at, setAt] = useState(-1);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const text = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setDraft(query), [query]);
  useKeys(isAlone ? [{ keys: "/", what: "Search", run: () => text.current?.focus() }] : []);
  const writing = offering?.of === "completion" ? offering.writing : undefined;
  const fits = useCompletion(signal, writing, metric);
  const offers: readonly Offer[] = offering?.of === "history" ? ranBefore(tenantId, signal, draft) : fits;
  const isOpen = offering !== undefined && (offers.length > 0 || offering.of === "history");
  const mistake = error instanceof ApiError && error.code === "invalid-query" && draft === query ? error : undefined;

  const close = (): void => {
    setOffering(undefined);
    setAt(-1);
  };
  const look = (written: string, caret: number): void => {
    const now = writingAt(written, caret);
    setOffering(now && { of: "completion", writing: now });
    setAt(-1);
  };
  const run = (): void => {
    close();
    if (isAlone) rememberQuery(tenantId, signal, draft.trim());
    onRun(draft.trim());
  };
  const mend = (wrong: Mistake | undefined, choice: string): void => {
    if (wrong === undefined) return;
    const next = mended(draft, wrong, choice);
    setDraft(next);
    text.current?.focus();
    onRun(next);
  };
  const choose = (offer: Offer | undefined): void => {
    if (offer === undefined || offering === undefined) return;
    const next =
      offering.of === "history"
        ? { text: offer.value, caret: offer.value.length }
        : completed(draft, offering.writing, offer.value);
    // The caret can only be put where the text is already.
    flushSync(() => setDraft(next.text));
    text.current?.focus();
    text.current?.setSelectionRange(next.caret, next.caret);
    if (offering.of === "completion" && offering.writing.kind === "field") look(next.text, next.caret);
    else close();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.nativeEvent.isComposing) return;
    const { key, currentTarget } = event;
    if (key === "Enter") {
      event.preventDefault();
      if (isOpen && at >= 0) choose(offers[at]);
      else run();
    } else if (key === "Escape") {
      if (!isOpen) currentTarget.blur();
      close();
    } else if (key === "Tab" && isOpen && !event.shiftKey && (at >= 0 || writing?.prefix)) {
      event.preventDefault();
      choose(offers[Math.max(at, 0)]);
    } else if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      const by = key === "ArrowDown" ? 1 : -1;
      // Round by one more than there are: between the last and the first, nothing is chosen.
      if (isOpen && (at >= 0 || by > 0 || offering.of === "history"))
        setAt(((at + 1 + by + offers.length + 1) % (offers.length + 1)) - 1);
      else if (by > 0) look(draft, currentTarget.selectionStart);
      else if (isAlone) setOffering({ of: "history" });
    }
  };
  return (
    <div className={isAlone ? styles.wrap : styles.among}>
      <div className={styles.line}>
        <div className={styles.box} data-wrong={mistake !== undefined}>
          <div className={styles.under} aria-hidden="true">
            <Marked text={draft} mistake={mistake?.mistake} />
          </div>
          <textarea
            ref={text}
            className={styles.text}
            rows={1}
            value={draft}
            placeholder={placeholder}
            aria-label={label}
            aria-invalid={mistake !== undefined}
            aria-describedby={mistake ? `${id}-mistake` : undefined}
            aria-autocomplete="list"
            aria-haspopup="listbox"
            aria-controls={isOpen && offers.length > 0 ? id : undefined}
            aria-activedescendant={isOpen && at >= 0 ? `${id}${at}` : undefined}
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            onChange={({ target }) => {
              const written = target.value.replaceAll("\n", " ");
              setDraft(written);
              look(written, target.selectionStart);
            }}
            onKeyDown={onKeyDown}
            onBlur={() => {
              close();
              // Among others there is no button that runs it.
              if (!isAlone && draft.trim() !== query) onRun(draft.trim());
            }}
          />
          {isOpen ? (
            <Offers
              id={id}
              label={offering.of === "history" ? "Queries that ran here" : "Completions"}
              offers={offers}
              chosen={at}
              onChoose={choose}
            />
          ) : null}
        </div>
        {isAlone ? (
          <>
            <Button
              icon
              className={styles.run ?? ""}
              title="Queries that ran here (arrow up in the line)"
              aria-label="History"
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => {
                text.current?.focus();
                setOffering(offering?.of === "history" ? undefined : { of: "history" });
              }}
            >
              <Icon name="history" />
            </Button>
            <Button icon className={styles.run ?? ""} title="How to write queries" onClick={() => setHelpOpen(true)}>
              <span aria-hidden="true">?</span>
              <span className="hidden">How to write queries</span>
            </Button>
            <Button className={styles.run ?? ""} onClick={run} title="Run the query (Enter)">
              Run
            </Button>
          </>
        ) : null}
      </div>
      {mistake ? (
        <p id={`${id}-mistake`} className={styles.message} role="alert">
          {inWords(mistake)}
        </p>
      ) : null}
      {mistake?.mistake && mistake.mistake.choices.length > 0 ? (
        <fieldset className={styles.choices} aria-label="What may stand there">
          {mistake.mistake.choices.map((choice) => (
            <Button key={choice} small title={`Write ${choice} there`} onClick={() => mend(mistake.mistake, choice)}>
              {choice}
            </Button>
          ))}
        </fieldset>
      ) : null}
      {isHelpOpen && signal !== "metrics" ? <QueryHelp signal={signal} onClose={() => setHelpOpen(false)} /> : null}
    </div>
  );
}

/** Queries that ran here and contain what is in the line, unless that is one of them. */
function ranBefore(tenantId: string, signal: Queried, draft: string): Offer[] {
  const all = remembered("queries", tenantId, signal);
  const wanted = draft.trim().toLowerCase();
  const like = all.includes(draft.trim()) ? all : all.filter((one) => one.toLowerCase().includes(wanted));
  return like.slice(0, HISTORY_SHOWN).map((value) => ({ value }));
}

function Marked({ text, mistake }: { text: string; mistake: Mistake | undefined }): ReactNode {
  // Without the sign that has no width, an empty last line would have no height.
  if (mistake === undefined) return `${text}\u200b`;
  const [before, wrong, behind] = around(text, mistake);
  return (
    <>
      {before}
      <mark>{wrong || " "}</mark>
      {behind}
    </>
  );
}
