import { type ReactNode, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { Button } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { Icon } from "../../parts/icons";
import { count } from "../../parts/pure/formats";
import styles from "./Logs.module.css";
import { foundIn } from "./recordText";

interface Find {
  found: ReadonlySet<number>;
  bar: ReactNode;
}

/** Ctrl-F within the loaded records: only those in sight are in the page, so the browser's own would find no others. */
export function useFind(
  records: readonly LogRecord[],
  columns: readonly string[],
  at: number,
  go: (index: number) => void,
): Find {
  const [wanted, setWanted] = useState<string>();
  const input = useRef<HTMLInputElement>(null);
  const open = (): void => {
    flushSync(() => setWanted((was) => was ?? ""));
    input.current?.select();
  };
  useKeys([{ keys: "Ctrl-F", what: "Find in the loaded records", run: open }]);
  const places = useMemo(() => foundIn(records, wanted ?? "", columns), [records, wanted, columns]);
  const found = useMemo(() => new Set(places), [places]);
  const here = places.indexOf(at);
  const step = (by: 1 | -1): void => {
    if (places.length === 0) return;
    const next = by > 0 ? places.find((place) => place > at) : places.findLast((place) => place < at);
    go(next ?? (by > 0 ? places[0] : places.at(-1)) ?? 0);
  };
  const close = (): void => {
    setWanted(undefined);
    document.querySelector<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
  };
  const bar =
    wanted === undefined ? (
      <Button small title="Find in the loaded records (Ctrl-F)" onClick={open}>
        Find
      </Button>
    ) : (
      <search className={styles.find}>
        <input
          ref={input}
          className={`${controls.input} ${styles.findText}`}
          aria-label="Find in the loaded records"
          placeholder={`Find in ${count(records.length)} loaded`}
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
            if (event.key === "Escape") close();
          }}
        />
        <span aria-live="polite">
          {wanted.trim() === ""
            ? ""
            : here >= 0
              ? `${count(here + 1)} of ${count(places.length)}`
              : `${count(places.length)} found`}
        </span>
        <Button small icon look="quiet" aria-label="Close the search" onClick={close}>
          <Icon name="close" size={14} />
        </Button>
      </search>
    );
  return { found, bar };
}
