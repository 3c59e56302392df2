import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, inWords } from "../api/errors";
import { useKeys } from "../app/keys";
import { Button } from "./controls";
import styles from "./QueryLine.module.css";

interface QueryLineProps {
  query: string;
  placeholder: string;
  /** What the API said of the query, if it said something. */
  error: unknown;
  onRun: (query: string) => void;
}

/** One line that grows: Enter runs it, and a mistake is underlined where it is, with the API's words below. */
export function QueryLine({ query, placeholder, error, onRun }: QueryLineProps): ReactNode {
  const [draft, setDraft] = useState(query);
  const text = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setDraft(query), [query]);
  useKeys([{ keys: "/", what: "Search", run: () => text.current?.focus() }]);
  const mistake = error instanceof ApiError && error.code === "invalid-query" && draft === query ? error : undefined;
  return (
    <div className={styles.wrap}>
      <div className={styles.line}>
        <div className={styles.box} data-wrong={mistake !== undefined}>
          <div className={styles.under} aria-hidden="true">
            <Marked text={draft} position={mistake?.position} />
          </div>
          <textarea
            ref={text}
            className={styles.text}
            rows={rowsOf(draft)}
            value={draft}
            placeholder={placeholder}
            aria-label="Query"
            aria-invalid={mistake !== undefined}
            aria-describedby={mistake ? "query-mistake" : undefined}
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            onChange={(event) => setDraft(event.target.value.replaceAll("\n", " "))}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.nativeEvent.isComposing) {
                event.preventDefault();
                onRun(draft.trim());
              }
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
        </div>
        <Button className={styles.run ?? ""} onClick={() => onRun(draft.trim())} title="Run the query (Enter)">
          Run
        </Button>
      </div>
      {mistake ? (
        <p id="query-mistake" className={styles.message} role="alert">
          {inWords(mistake)}
        </p>
      ) : null}
    </div>
  );
}

const COLUMNS = 150;
const rowsOf = (text: string): number => Math.max(1, Math.ceil(text.length / COLUMNS));

function Marked({ text, position }: { text: string; position: number | undefined }): ReactNode {
  if (position === undefined) return text;
  const start = Math.min(position, Math.max(text.length - 1, 0));
  const length = Math.max(1, text.slice(start).search(/[\s()]|$/));
  return (
    <>
      {text.slice(0, start)}
      <mark>{text.slice(start, start + length) || " "}</mark>
      {text.slice(start + length)}
    </>
  );
}
