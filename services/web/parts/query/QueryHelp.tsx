import { type ReactNode, useEffect, useRef } from "react";
import auth from "../auth.module.css";
import { Button } from "../controls";
import styles from "./QueryHelp.module.css";
import type { Signal } from "./useFieldNames";

type Line = readonly [string, string];

const WORDS: Record<Signal, readonly Line[]> = {
  logs: [
    ["timeout", "the word in the body"],
    ['"connection refused"', "the phrase, also within words"],
    ["*conn*", "a part of a word"],
    ["severity>=warn", "warnings and worse"],
    ["body:/timeout after \\d+/", "a regular expression"],
  ],
  traces: [
    ["checkout", "the text in the span's name"],
    ["status:error", "spans that failed"],
    ["duration>500ms", "slow spans"],
    ["-parent_span_id:*", "roots"],
    ["name:/^GET .*cart/", "a regular expression"],
  ],
};
const COMMON: readonly Line[] = [
  ["service:checkout", "a field has this value"],
  ["service:(cart OR checkout)", "one of these values"],
  ["http.route:/api/*", "a value that begins so"],
  ["user.id:*", "the attribute is there"],
  ["http.response.status_code>=500", "numbers compared"],
  ["a b OR c", "(a and b) or c"],
  ["-user.id:7   NOT (a OR b)", "neither"],
];

/** The search language on a card. */
export function QueryHelp({ signal, onClose }: { signal: Signal; onClose: () => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className={`${auth.dialog} ${styles.card}`} aria-labelledby="query-help" onClose={onClose}>
      <h2 id="query-help" className={auth.title}>
        Queries
      </h2>
      <p className={styles.lead}>Terms side by side must all match. In quotes every character is meant as it is.</p>
      <dl className={styles.lines}>
        {[...WORDS[signal], ...COMMON].map(([query, what]) => (
          <div key={query}>
            <dt>
              <code>{query}</code>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className={styles.lead}>
        While you write, names of fields and their values are offered, with how many have them: arrow keys choose, Tab
        or Enter takes, Esc closes. Arrow up shows what you ran before.
      </p>
      <Button onClick={() => dialog.current?.close()}>Close</Button>
    </dialog>
  );
}
