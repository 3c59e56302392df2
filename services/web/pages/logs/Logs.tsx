import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { NoMatches } from "../../parts/NoMatches";
import { Page } from "../../parts/Page";
import { count } from "../../parts/pure/formats";
import { withTerm } from "../../parts/pure/terms";
import { QueryLine } from "../../parts/QueryLine";
import { Rows } from "../../parts/Rows";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
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
  const search = useInfiniteQuery({
    queryKey: ["logs", tenantId, range.start, range.end, q],
    queryFn: ({ pageParam, signal }) =>
      answered(
        api.POST("/api/v1/logs/search", {
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
  const records = useMemo(() => search.data?.pages.flatMap((page) => page.items) ?? [], [search.data]);
  const chosen = records.findIndex((record) => record.id === open);
  const [cursor, setCursor] = useState(-1);
  const at = chosen >= 0 ? chosen : Math.min(cursor, records.length - 1);
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isFetching } = search;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const show = useCallback(
    (record: LogRecord | undefined) => setPlace({ open: record?.id }, { replace: true }),
    [setPlace],
  );
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(records.length - 1, at + by));
    setCursor(next);
    if (open !== undefined) show(records[next]);
  };
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
    { keys: "o", what: "Open the trace of the row", run: () => openTrace(records[at]) },
  ]);

  const addTerm = (added: string): void => setPlace({ q: withTerm(q, added) });
  const isMistake = search.error instanceof ApiError && search.error.code === "invalid-query";
  const withDay = range.endMs - range.startMs > DAY_MS;
  const record = chosen >= 0 ? records[chosen] : undefined;
  const hint = search.data?.pages[0]?.hint;
  return (
    <Page title="Logs" busy={isFetching && !isFetchingNextPage}>
      <QueryLine
        query={q}
        placeholder='Words, "phrases" and field:value, such as  service:checkout severity>=warn "connection refused"'
        error={search.error}
        onRun={(query) => {
          setPlace({ q: query, open: undefined });
          if (query === q) range.refresh();
        }}
      />
      {isMistake ? null : <LogHistogram query={q} />}
      <div className={styles.split}>
        <div
          className={`${styles.list} ${search.isPlaceholderData || (isMistake && records.length > 0) ? styles.dim : ""}`}
        >
          {search.error && !isMistake ? (
            <div className={styles.note}>
              <ErrorNote error={search.error} retry={() => void search.refetch()} />
            </div>
          ) : null}
          {search.isPending ? (
            <Skeleton />
          ) : isMistake && records.length === 0 ? (
            <Empty title="The query has a mistake">It is underlined above.</Empty>
          ) : records.length === 0 && search.data ? (
            <NoMatches what="records" query={q} hint={hint} />
          ) : (
            <>
              <div className={`${styles.head} ${withDay ? styles.withDay : ""}`} aria-hidden="true">
                <span>{range.zone ?? "Local time"}</span>
                <span>Severity</span>
                <span className={styles.service}>Service</span>
                <span>Body</span>
              </div>
              <Rows
                label="Log records"
                count={records.length}
                height={ROW_PX}
                chosen={at}
                onEnd={more}
                render={(index) => {
                  const one = records[index];
                  return one ? (
                    <LogRow
                      record={one}
                      index={index}
                      zone={range.zone}
                      withDay={withDay}
                      isChosen={index === at}
                      onOpen={show}
                    />
                  ) : null;
                }}
              />
              <div className={styles.foot}>
                {count(records.length)} records{hasNextPage ? ", and more below" : ", all of them"}
                {isFetchingNextPage ? <span>Loading…</span> : null}
              </div>
            </>
          )}
        </div>
        {record ? (
          <LogDetails record={record} zone={range.zone} onClose={() => show(undefined)} onTerm={addTerm} />
        ) : null}
      </div>
    </Page>
  );
}
