import { type ReactNode, useState } from "react";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { Button, CopyButton } from "../../parts/controls";
import { counted } from "../../parts/pure/formats";
import { recordText } from "./recordText";

interface Picked {
  is: (index: number) => boolean;
  /** Picks everything from the row that was clicked last to this one. */
  pick: (index: number) => void;
  /** Remembers where a range begins. */
  begin: (index: number) => void;
  bar: ReactNode;
}

/** Rows picked by Shift and a click, or J and K, to be copied. */
export function usePicked(records: readonly LogRecord[], columns: readonly string[], at: number): Picked {
  const [anchor, setAnchor] = useState(-1);
  const [end, setEnd] = useState(-1);
  const [from, to] = [Math.min(anchor, end), Math.max(anchor, end)];
  const isSome = end >= 0 && anchor >= 0;
  const pick = (index: number): void => {
    if (anchor < 0) setAnchor(at >= 0 ? at : index);
    setEnd(index);
  };
  const extend = (by: number): void => {
    const last = isSome ? end : Math.max(at, 0);
    if (!isSome) setAnchor(last);
    setEnd(Math.max(0, Math.min(records.length - 1, last + by)));
  };
  useKeys([
    { keys: "J", what: "Pick the next row too", run: () => extend(1) },
    { keys: "K", what: "Pick the previous row too", run: () => extend(-1) },
  ]);
  const chosen = isSome ? records.slice(from, to + 1) : [];
  return {
    is: (index) => isSome && index >= from && index <= to,
    pick,
    begin: (index) => {
      setAnchor(index);
      setEnd(-1);
    },
    bar: isSome ? (
      <>
        <span role="status">{counted(chosen.length, "row")} picked</span>
        <CopyButton text={chosen.map((one) => recordText(one, columns)).join("\n")} label="Copy as text" />
        <CopyButton text={JSON.stringify(chosen, undefined, 2)} label="Copy as JSON" />
        <Button small look="quiet" onClick={() => setEnd(-1)}>
          Clear
        </Button>
      </>
    ) : null,
  };
}
