import { type ButtonHTMLAttributes, type InputHTMLAttributes, type ReactNode, useId, useState } from "react";
import styles from "./controls.module.css";
import { serviceColour } from "./pure/colours";
import { plain } from "./pure/formats";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "plain" | "primary" | "quiet";
  small?: boolean;
  icon?: boolean;
}

/** The class of something that looks like a button, for links. */
export const buttonClass = (look: "plain" | "primary" | "quiet" = "plain", small = false, icon = false): string =>
  [styles.button, look !== "plain" && styles[look], small && styles.small, icon && styles.icon]
    .filter(Boolean)
    .join(" ");

export function Button({
  look = "plain",
  small = false,
  icon = false,
  className = "",
  ...rest
}: ButtonProps): ReactNode {
  return <button type="button" {...rest} className={`${buttonClass(look, small, icon)} ${className}`} />;
}

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string;
}

/** An input with its label. */
export function Field({ label, hint, ...rest }: FieldProps): ReactNode {
  const id = useId();
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {label}
      </label>
      <input id={id} className={styles.input} aria-describedby={hint ? `${id}-hint` : undefined} {...rest} />
      {hint ? (
        <span id={`${id}-hint`} className={styles.hint}>
          {hint}
        </span>
      ) : null}
    </div>
  );
}

/** A service's name beside its colour. */
export function ServiceName({ name }: { name: string }): ReactNode {
  return (
    <span className={styles.service}>
      <span className={styles.dot} data-colour={serviceColour(name)} aria-hidden="true" />
      <span className={styles.serviceName} title={plain(name)}>
        {name === "" ? "(no service.name)" : plain(name)}
      </span>
    </span>
  );
}

/** Copies a text, and says that it did. */
export function CopyButton({
  text,
  label = "Copy",
  small = true,
}: {
  text: string;
  label?: string;
  small?: boolean;
}): ReactNode {
  const [said, setSaid] = useState<string>();
  const say = (word: string): void => {
    setSaid(word);
    setTimeout(() => setSaid(undefined), 1_500);
  };
  return (
    <Button
      small={small}
      onClick={() => {
        // Browsers have no clipboard for pages that came over http from another machine.
        const written = isSecureContext
          ? navigator.clipboard.writeText(text)
          : Promise.reject(new Error("no clipboard"));
        void written.then(
          () => say("Copied"),
          () => say("Cannot copy here"),
        );
      }}
    >
      <span aria-live="polite">{said ?? label}</span>
    </Button>
  );
}
