import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { Button } from "../../parts/controls";
import { Details } from "../../parts/Details";
import { Facets } from "../../parts/Facets";
import { Page } from "../../parts/Page";
import { withTerm } from "../../parts/pure/terms";
import { QueryLine } from "../../parts/QueryLine";
import { Results, Split } from "../../parts/Results";
import { ErrorNote, Skeleton } from "../../parts/states";
import { useKept } from "../../parts/useKept";
import { useResults } from "../../parts/useResults";
import { LogDetails } from "./LogDetails";
import { LogHistogram } from "./LogHistogram";
import { LogRow } from "./LogRow";
import styles from "./Logs.module.css";

const PAGE = 300;
const ROW_PX = 24;
const DAY_MS = 86_400_000;

/** Records of a range, newest first, with everything of the chosen one beside them. */
export function Logs(): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { q = "", open } = usePlace();
  const setPlace = useSetPlace();
  const navigate = useNavigate();
  const found = useResults(["logs", tenantId, range.start, range.end, q], (cursor, signal) => {
    const body = { query: q, start: range.start, end: range.end, limit: PAGE, ...(cursor ? { cursor } : {}) };
    return answered(api.POST("/api/v1/logs/search", { body, signal }));
  });
  const records = found.items;
  const chosen = records.findIndex((record) => record.id === open);
  const [hasFields, setFields] = useKept("fields", true);
  const [cursor, setCursor] = useState(-1);
  const at = chosen >= 0 ? chosen : Math.min(cursor, records.length - 1);
  const show = useCallback(
    (record: LogRecord | undefined) => setPlace({ open: record?.id }, { replace: true }),
    [setPlace],
  );
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(records.length - 1, at + by));
    setCursor(next);
    if (open !== undefined) show(records[next]);
  };
  const mayTrace = mayI("trace:read");
  const openTrace = (record: LogRecord | undefined): void => {
    if (record?.trace_id) {
      void navigate({
        to: "/t/$tenantId/traces/$traceId",
        params: { tenantId, traceId: record.trace_id },
        search: (was: Place) => ({ ...sameTime(was), ...(record.span_id ? { open: record.span_id } : {}) }),
      });
    }
  };
  useKeys([
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    { keys: "Enter", what: "Open the row", run: () => show(records[Math.max(at, 0)]) },
    { keys: "Escape", what: "Close the panel", run: () => show(undefined) },
    ...(mayTrace ? [{ keys: "o", what: "Open the trace of the row", run: () => openTrace(records[at]) }] : []),
  ]);

  const addTerm = (added: string): void => setPlace({ q: withTerm(q, added) });
  const withDay = range.endMs - range.startMs > DAY_MS;
  const panel = { zone: range.zone, onClose: () => show(undefined), onTerm: addTerm };
  const record = records[chosen];
  return (
    <Page
      title="Logs"
      busy={found.isFetching}
      tools={
        <Button aria-pressed={hasFields} title="Fields and their values" onClick={() => setFields(!hasFields)}>
          Fields
        </Button>
      }
    >
      <QueryLine
        signal="logs"
        query={q}
        placeholder='Words, "phrases" and field:value, such as  service:checkout severity>=warn "connection refused"'
        error={found.error}
        onRun={(query) => {
          setPlace({ q: query, open: undefined });
          if (query === q) range.refresh();
        }}
      />
      <LogHistogram query={q} isMistake={found.isMistake} />
      <Split>
        {hasFields ? <Facets signal="logs" query={q} isAsked={!found.isMistake} /> : null}
        <Results
          found={found}
          what="record"
          label="Log records"
          query={q}
          height={ROW_PX}
          chosen={at}
          onMove={move}
          head={
            <div className={`${styles.head} ${withDay ? styles.withDay : ""}`}>
              <span>{range.zone ?? "Local time"}</span>
              <span>Severity</span>
              <span className={styles.service}>Service</span>
              <span>Body</span>
            </div>
          }
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
        {record ? (
          <LogDetails record={record} {...panel} />
        ) : open !== undefined && !found.isPending ? (
          <FarRecord key={open} id={open} {...panel} />
        ) : null}
      </Split>
    </Page>
  );
}

interface FarRecordProps {
  id: string;
  zone: string | undefined;
  onClose: () => void;
  onTerm: (added: string) => void;
}

/** A record that a link names, and that is not among those listed. */
function FarRecord({ id, ...panel }: FarRecordProps): ReactNode {
  const tenantId = useTenantId();
  const one = useQuery({
    queryKey: ["log", tenantId, id],
    queryFn: ({ signal }) =>
      answered(api.GET("/api/v1/logs/{record_id}", { params: { path: { record_id: id } }, signal })),
  });
  if (one.data) return <LogDetails record={one.data} {...panel} />;
  return (
    <Details label="Log record" title="Log record" onClose={panel.onClose}>
      {one.error ? (
        <div className={styles.panelNote}>
          <ErrorNote error={one.error} retry={() => void one.refetch()} />
        </div>
      ) : (
        <Skeleton />
      )}
    </Details>
  );
}
