import { type ReactNode, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { useRange, useTenantId } from "../../app/place";
import { Results, Split } from "../../parts/lists/Results";
import { useResults } from "../../parts/lists/useResults";
import { Download } from "./Download";
import { LogHistogram } from "./LogHistogram";
import { LogLook, useLook } from "./LogLook";
import { LogHead, LogRow } from "./LogRow";
import type { ViewProps } from "./Logs";
import { RecordPanel } from "./RecordPanel";
import { useFind } from "./useFind";
import { usePicked } from "./usePicked";
import { useRecordKeys } from "./useRecordKeys";

const PAGE = 300;
const ROW_PX = 24;
const DENSE_PX = 20;
const DAY_MS = 86_400_000;

/** Records of a range, newest first, with everything of the chosen one beside them. */
export function Records({ query, line, fields }: ViewProps): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const found = useResults(["logs", tenantId, range.start, range.end, query], (cursor, signal) => {
    const body = { query, start: range.start, end: range.end, limit: PAGE, ...(cursor ? { cursor } : {}) };
    return answered(api.POST("/api/v1/logs/search", { body, signal }));
  });
  const records: readonly LogRecord[] = found.items;
  const [cursor, setCursor] = useState(-1);
  const { at, move, show } = useRecordKeys({
    count: records.length,
    record: (index) => records[index],
    index: (id) => records.findIndex((record) => record.id === id),
    cursor,
    setCursor,
  });
  const look = useLook();
  const columnsText = look.columns.join(",");
  const columns = useMemo(() => columnsText.split(",").filter(Boolean), [columnsText]);
  const find = useFind(records, columns, at, (index) => move(index - at));
  const picked = usePicked(records, columns, at);
  // Rows are drawn again only for what changes in them.
  const pick = useStable(picked.pick);
  const open = useStable((record: LogRecord) => {
    picked.begin(records.indexOf(record));
    show(record);
  });
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(() => new Set());
  const unfold = useStable((id: string) =>
    setUnfolded((now) => {
      const next = new Set(now);
      if (!next.delete(id)) next.add(id);
      return next;
    }),
  );
  useKeys([
    {
      keys: "x",
      what: "Unfold the row where it is, or fold it",
      run: () => {
        const record = records[Math.max(at, 0)];
        if (record) unfold(record.id);
      },
    },
  ]);
  const withDay = range.endMs - range.startMs > DAY_MS;
  return (
    <>
      {line(found.error)}
      <LogHistogram query={query} isMistake={found.isMistake} />
      <LogLook look={look}>
        {picked.bar}
        {find.bar}
        <Download records={records} columns={columns} query={query} />
      </LogLook>
      <Split>
        {fields(!found.isMistake)}
        <Results
          found={found}
          what="record"
          label="Log records"
          query={query}
          height={look.isDense ? DENSE_PX : ROW_PX}
          isMeasured={look.isWrapped || unfolded.size > 0}
          form={look.isWrapped ? "wrapped" : "lines"}
          chosen={at}
          onMove={move}
          head={<LogHead zone={range.zone} withDay={withDay} columns={columns} />}
          render={(one, index, id) => (
            <LogRow
              record={one}
              index={index}
              id={id}
              zone={range.zone}
              withDay={withDay}
              isChosen={index === at}
              onOpen={open}
              onPick={pick}
              columns={columns}
              isWrapped={look.isWrapped}
              isDense={look.isDense}
              isPicked={picked.is(index)}
              isFound={find.found.has(index)}
              isUnfolded={unfolded.has(one.id)}
              onUnfold={unfold}
              query={unfolded.has(one.id) ? query : ""}
            />
          )}
        />
        {found.isPending ? null : <RecordPanel find={(id) => records.find((one) => one.id === id)} />}
      </Split>
    </>
  );
}

/** A function that stays the same and does what the latest one does. */
function useStable<T>(run: (argument: T) => void): (argument: T) => void {
  const latest = useRef(run);
  useLayoutEffect(() => {
    latest.current = run;
  });
  return useCallback((argument) => latest.current(argument), []);
}
