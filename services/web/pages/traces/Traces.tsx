import { Link, useNavigate } from "@tanstack/react-router";
import { memo, type ReactNode, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import type { TraceSummary } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { ServiceName } from "../../parts/controls";
import { Results, Split } from "../../parts/lists/Results";
import { useResults } from "../../parts/lists/useResults";
import { Page } from "../../parts/Page";
import { count, duration, plain } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import { Facets, FacetsSwitch } from "../../parts/query/Facets";
import { QueryLine } from "../../parts/query/QueryLine";
import { useKept } from "../../parts/useKept";
import { Compare } from "./Compare";
import { TraceHeatmap } from "./TraceHeatmap";
import styles from "./Traces.module.css";

const PAGE = 200;
const ROW_PX = 44;
const DAY_MS = 86_400_000;

/** What goes along to a trace: all that the way back needs. */
const toTrace = (was: Place): Place => was;

/** Traces with a span that the query finds, newest first, with how long each took among those listed. */
export function Traces(): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { q = "", view, box } = usePlace();
  const setPlace = useSetPlace();
  const navigate = useNavigate();
  const [hasFields, setFields] = useKept("fields", true);
  const [at, setAt] = useState(-1);
  const found = useResults(["traces", tenantId, range.start, range.end, q], (cursor, signal) => {
    const body = { query: q, start: range.start, end: range.end, limit: PAGE, ...(cursor ? { cursor } : {}) };
    return answered(api.POST("/api/v1/traces/search", { body, signal }));
  });
  const traces = found.items;
  const longest = useMemo(() => traces.reduce((most, one) => Math.max(most, one.duration_ns), 1), [traces]);
  const move = (by: number): void => setAt((now) => Math.max(0, Math.min(traces.length - 1, now + by)));
  useKeys([
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    { keys: "Escape", what: "Close the comparison", run: () => setPlace({ view: undefined, box: undefined }) },
    {
      keys: "Enter",
      what: "Open the row",
      run: () => {
        const trace = traces[at];
        if (trace) {
          void navigate({
            to: "/t/$tenantId/traces/$traceId",
            params: { tenantId, traceId: trace.trace_id },
            search: toTrace,
          });
        }
      },
    },
  ]);
  const isCompared = view === "compare" && box !== undefined;
  const withDay = range.endMs - range.startMs > DAY_MS;
  return (
    <Page
      title="Traces"
      busy={found.isFetching}
      tools={
        <FacetsSwitch
          isOn={hasFields}
          onSwitch={setFields}
          closePanel={isCompared ? () => setPlace({ view: undefined, box: undefined }) : undefined}
        />
      }
    >
      <QueryLine
        signal="traces"
        query={q}
        placeholder="Span names and field:value, such as  service:frontend status:error duration>500ms"
        error={found.error}
        onRun={(query) => {
          setPlace({ q: query, view: undefined, box: undefined });
          setAt(-1);
          if (query === q) range.refresh();
        }}
      />
      <TraceHeatmap query={q} isMistake={found.isMistake} />
      <Split>
        {hasFields ? <Facets signal="traces" query={q} isAsked={!found.isMistake} /> : null}
        <Results
          found={found}
          what="trace"
          label="Traces"
          query={q}
          height={ROW_PX}
          chosen={at}
          onMove={move}
          head={
            <div className={`${styles.head} ${withDay ? styles.withDay : ""}`}>
              <span className={styles.time}>{range.zone ?? "Local time"}</span>
              <span>First span</span>
              <span>Duration</span>
              <span className={styles.number}>Spans</span>
              <span className={styles.number}>Errors</span>
            </div>
          }
          render={(one, index, id) => (
            <TraceRow
              trace={one}
              index={index}
              id={id}
              longest={longest}
              zone={range.zone}
              withDay={withDay}
              isChosen={index === at}
              tenantId={tenantId}
            />
          )}
        />
        {isCompared ? <Compare query={q} /> : null}
      </Split>
    </Page>
  );
}

interface TraceRowProps {
  trace: TraceSummary;
  index: number;
  id: string;
  longest: number;
  zone: Zone;
  withDay: boolean;
  isChosen: boolean;
  tenantId: string;
}

const NAMED_MAX = 4;

const TraceRow = memo(function TraceRow({
  trace,
  index,
  id,
  longest,
  zone,
  withDay,
  isChosen,
  tenantId,
}: TraceRowProps): ReactNode {
  const { day, time } = moment(trace.start, zone, 3);
  const others = trace.services.filter((name) => name !== trace.root_service);
  const via = others.slice(0, NAMED_MAX).map(plain).join(", ");
  const rest = others.length > NAMED_MAX ? ` and ${count(others.length - NAMED_MAX)} more` : "";
  return (
    <div role="row" id={id} aria-rowindex={index + 1} aria-selected={isChosen}>
      <Link
        to="/t/$tenantId/traces/$traceId"
        params={{ tenantId, traceId: trace.trace_id }}
        search={toTrace}
        preload={false}
        className={`${styles.row} ${withDay ? styles.withDay : ""}`}
        role="gridcell"
        tabIndex={-1}
        data-failed={trace.error_count > 0}
        data-chosen={isChosen}
      >
        <span className={styles.time}>
          {withDay ? `${day} ` : ""}
          {time}
        </span>
        <span>
          <span className={styles.name} title={plain(trace.root_name)}>
            {plain(trace.root_name)}
          </span>
          <span className={styles.under}>
            <ServiceName name={trace.root_service} />
            {via === "" ? "" : `  → ${via}${rest}`}
          </span>
        </span>
        <span className={styles.took}>
          <b>{duration(trace.duration_ns)}</b>
          <svg className={styles.bar} aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 1000 8">
            <rect height="8" width={Math.max(4, (trace.duration_ns / longest) * 1000)} />
          </svg>
        </span>
        <span className={styles.number}>{count(trace.span_count)}</span>
        {trace.error_count > 0 ? (
          <span className={styles.errors}>{count(trace.error_count)}</span>
        ) : (
          <span className={styles.none}>0</span>
        )}
      </Link>
    </div>
  );
});
