import { type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogRecord } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";
import { Results, Split } from "../../parts/lists/Results";
import { useResults } from "../../parts/lists/useResults";
import { LogHistogram } from "./LogHistogram";
import { LogHead, LogRow } from "./LogRow";
import type { ViewProps } from "./Logs";
import { RecordPanel } from "./RecordPanel";
import { useRecordKeys } from "./useRecordKeys";

const PAGE = 300;
const ROW_PX = 24;
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
  const withDay = range.endMs - range.startMs > DAY_MS;
  return (
    <>
      {line(found.error)}
      <LogHistogram query={query} isMistake={found.isMistake} />
      <Split>
        {fields(!found.isMistake)}
        <Results
          found={found}
          what="record"
          label="Log records"
          query={query}
          height={ROW_PX}
          chosen={at}
          onMove={move}
          head={<LogHead zone={range.zone} withDay={withDay} />}
          render={(one, index, id) => (
            <LogRow
              record={one}
              index={index}
              id={id}
              zone={range.zone}
              withDay={withDay}
              isChosen={index === at}
              onOpen={show}
            />
          )}
        />
        {found.isPending ? null : <RecordPanel find={(id) => records.find((one) => one.id === id)} />}
      </Split>
    </>
  );
}
