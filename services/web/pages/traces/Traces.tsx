import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { memo, type ReactNode, useCallback, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { TraceSummary } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { ServiceName } from "../../parts/controls";
import { NoMatches } from "../../parts/NoMatches";
import { Page } from "../../parts/Page";
import { count, duration, plain } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import { QueryLine } from "../../parts/QueryLine";
import { Rows } from "../../parts/Rows";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import styles from "./Traces.module.css";

const PAGE = 200;
const ROW_PX = 44;
const DAY_MS = 86_400_000;

/** Traces with a span that the query finds, newest first, with how long each took among those listed. */
export function Traces(): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { q = "" } = usePlace();
  const setPlace = useSetPlace();
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const search = useInfiniteQuery({
    queryKey: ["traces", tenantId, range.start, range.end, q],
    queryFn: ({ pageParam, signal }) =>
      answered(
        api.POST("/api/v1/traces/search", {
          body: {
            query: q,
            start: range.start,
            end: range.end,
            limit: PAGE,
            ...(pageParam ? { cursor: pageParam } : {}),
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const traces = useMemo(() => search.data?.pages.flatMap((page) => page.items) ?? [], [search.data]);
  const longest = useMemo(() => traces.reduce((most, one) => Math.max(most, one.duration_ns), 1), [traces]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isFetching } = search;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const move = (by: number): void => setAt((now) => Math.max(0, Math.min(traces.length - 1, now + by)));
  useKeys([
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    {
      keys: "Enter",
      what: "Open the row",
      run: () => {
        const trace = traces[at];
        if (trace) {
          void navigate({
            to: "/t/$tenantId/traces/$traceId",
            params: { tenantId, traceId: trace.trace_id },
            search: (was: Place) => was,
          });
        }
      },
    },
  ]);
  const withDay = range.endMs - range.startMs > DAY_MS;
  const isMistake = search.error instanceof ApiError && search.error.code === "invalid-query";
  return (
    <Page title="Traces" busy={isFetching && !isFetchingNextPage}>
      <QueryLine
        query={q}
        placeholder="Span names and field:value, such as  service:frontend status:error duration>500ms"
        error={search.error}
        onRun={(query) => {
          setPlace({ q: query });
          setAt(-1);
          if (query === q) range.refresh();
        }}
      />
      <div
        className={`${styles.list} ${search.isPlaceholderData || (isMistake && traces.length > 0) ? styles.dim : ""}`}
      >
        {search.error && !isMistake ? (
          <div className={styles.note}>
            <ErrorNote error={search.error} retry={() => void search.refetch()} />
          </div>
        ) : null}
        {search.isPending ? (
          <Skeleton />
        ) : isMistake && traces.length === 0 ? (
          <Empty title="The query has a mistake">It is underlined above.</Empty>
        ) : traces.length === 0 && search.data ? (
          <NoMatches what="traces" query={q} hint={search.data.pages[0]?.hint} />
        ) : (
          <>
            <div className={`${styles.head} ${withDay ? styles.withDay : ""}`} aria-hidden="true">
              <span className={styles.time}>{range.zone ?? "Local time"}</span>
              <span>First span</span>
              <span>Duration</span>
              <span className={styles.number}>Spans</span>
              <span className={styles.number}>Errors</span>
            </div>
            <Rows
              label="Traces"
              count={traces.length}
              height={ROW_PX}
              chosen={at}
              onEnd={more}
              render={(index) => {
                const one = traces[index];
                return one ? (
                  <TraceRow
                    trace={one}
                    index={index}
                    longest={longest}
                    zone={range.zone}
                    withDay={withDay}
                    isChosen={index === at}
                    tenantId={tenantId}
                  />
                ) : null;
              }}
            />
            <div className={styles.foot}>
              {count(traces.length)} traces{hasNextPage ? ", and more below" : ", all of them"}
              {isFetchingNextPage ? <span>Loading…</span> : null}
            </div>
          </>
        )}
      </div>
    </Page>
  );
}

interface TraceRowProps {
  trace: TraceSummary;
  index: number;
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
    <div role="row" aria-rowindex={index + 1} aria-selected={isChosen}>
      <Link
        to="/t/$tenantId/traces/$traceId"
        params={{ tenantId, traceId: trace.trace_id }}
        search={(was: Place) => was}
        preload={false}
        className={`${styles.row} ${withDay ? styles.withDay : ""}`}
        role="gridcell"
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
