import { type ReactNode, useState } from "react";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { useRange } from "../../app/place";
import { Button } from "../../parts/controls";
import { Split } from "../../parts/lists/Results";
import results from "../../parts/lists/Results.module.css";
import { Rows } from "../../parts/lists/Rows";
import { isMistaken } from "../../parts/lists/useResults";
import { counted } from "../../parts/pure/formats";
import type { TailLine } from "../../parts/pure/tail";
import { Empty, ErrorNote } from "../../parts/states";
import { LogHead, LogRow } from "./LogRow";
import type { ViewProps } from "./Logs";
import styles from "./Logs.module.css";
import { RecordPanel } from "./RecordPanel";
import { useRecordKeys } from "./useRecordKeys";
import { type TailState, useTail } from "./useTail";

const ROW_PX = 24;

const WORDS: Record<TailState, string> = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Connecting again…",
  stopped: "Stopped",
};

const recordOf = (line: TailLine<LogRecord> | undefined): LogRecord | undefined =>
  line && "record" in line ? line.record : undefined;

/** Records as they arrive, the newest on top. Whoever scrolls or opens one pauses it. */
export function TailView({ query, line, fields }: ViewProps): ReactNode {
  const { zone } = useRange();
  const tail = useTail(query);
  const [cursor, setCursor] = useState(-1);
  const [resumed, setResumed] = useState(0);
  const total = tail.lines.length;
  const lineAt = (index: number): TailLine<LogRecord> | undefined => tail.lines[total - 1 - index];
  const { at, move, show } = useRecordKeys({
    count: total,
    record: (index) => {
      tail.pause();
      return recordOf(lineAt(index));
    },
    index: (id) => {
      const found = tail.lines.findLastIndex((one) => recordOf(one)?.id === id);
      return found < 0 ? -1 : total - 1 - found;
    },
    cursor,
    setCursor: (index) => {
      tail.pause();
      setCursor(index);
    },
  });
  const resume = (): void => {
    tail.resume();
    setCursor(-1);
    show(undefined);
    setResumed(resumed + 1);
  };
  useKeys([{ keys: "Space", what: "Pause or resume the tail", run: () => (tail.isPaused ? resume() : tail.pause()) }]);
  const isMistake = isMistaken(tail.error);
  return (
    <>
      {line(tail.error)}
      <div className={styles.live}>
        <span className={styles.state} data-state={tail.isPaused ? "paused" : tail.state} role="status">
          {tail.isPaused && tail.state === "live" ? "Paused" : WORDS[tail.state]}
        </span>
        <Button small title="Space" disabled={tail.state === "stopped"} onClick={tail.isPaused ? resume : tail.pause}>
          {tail.isPaused ? (tail.waiting > 0 ? `${counted(tail.waiting, "new", "new")}` : "Resume") : "Pause"}
        </Button>
        <span className={styles.liveNote}>Records as they arrive, whatever their time.</span>
      </div>
      {tail.error && !isMistake ? (
        <div className={results.note}>
          <ErrorNote error={tail.error} />
        </div>
      ) : null}
      <Split>
        {fields(!isMistake)}
        <div className={results.list}>
          {isMistake ? (
            <Empty title="The query has a mistake">It is underlined above.</Empty>
          ) : total === 0 ? (
            <Empty title={tail.state === "live" ? "Nothing has arrived yet" : WORDS[tail.state]}>
              Records that match appear here within seconds.
            </Empty>
          ) : (
            <>
              <div className={results.head} aria-hidden="true">
                <LogHead zone={zone} withDay={false} />
              </div>
              <Rows
                topAt={resumed}
                label="Log records"
                count={total}
                height={ROW_PX}
                chosen={at}
                onMove={move}
                onScroll={({ currentTarget }) => {
                  if (currentTarget.scrollTop > ROW_PX) tail.pause();
                }}
                render={(index, id) => {
                  const one = lineAt(index);
                  const record = recordOf(one);
                  if (record) {
                    return (
                      <LogRow
                        record={record}
                        index={index}
                        id={id}
                        zone={zone}
                        withDay={false}
                        isChosen={index === at}
                        onOpen={(opened) => {
                          tail.pause();
                          show(opened);
                        }}
                      />
                    );
                  }
                  return (
                    <div className={styles.gap} role="row" id={id} aria-rowindex={index + 1}>
                      <span role="gridcell">{one && "note" in one ? one.note : ""}</span>
                    </div>
                  );
                }}
              />
              <div className={results.foot}>{counted(total, "line")} kept, the newest 10,000 at most</div>
            </>
          )}
        </div>
        <RecordPanel find={(id) => recordOf(tail.lines.findLast((one) => recordOf(one)?.id === id))} />
      </Split>
    </>
  );
}
