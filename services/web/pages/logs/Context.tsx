import { type InfiniteData, useInfiniteQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogContext, LogRecord } from "../../api/schema";
import { useTenantId } from "../../app/place";
import { Button, ServiceName } from "../../parts/controls";
import { severity, valueText } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import severities from "../../parts/severity.module.css";
import { ErrorNote, Skeleton } from "../../parts/states";
import styles from "./Context.module.css";

const SOURCES = [
  ["resource", "Same process"],
  ["service", "Same service"],
  ["any", "Everything"],
] as const;
type Source = (typeof SOURCES)[number][0];

interface Side {
  id: string;
  before: number;
  after: number;
}

const STEP = 20;
const SHOWN_CHARS = 400;

interface ContextProps {
  record: LogRecord;
  zone: Zone;
  onOpen: (record: LogRecord) => void;
}

/** What the same source wrote before and after a record, whatever the query says, oldest first. */
export function Context({ record, zone, onOpen }: ContextProps): ReactNode {
  const tenantId = useTenantId();
  const [source, setSource] = useState<Source>("resource");
  const context = useInfiniteQuery<LogContext, Error, InfiniteData<LogContext, Side>, readonly string[], Side>({
    queryKey: ["context", tenantId, record.id, source],
    queryFn: ({ pageParam, signal }) =>
      answered(api.GET("/api/v1/logs/context", { params: { query: { ...pageParam, source } }, signal })),
    initialPageParam: { id: record.id, before: STEP, after: STEP },
    getPreviousPageParam: ({ before, more_before: isMore }) =>
      isMore && before[0] ? { id: before[0].id, before: STEP, after: 0 } : undefined,
    getNextPageParam: ({ after, more_after: isMore }) => {
      const last = after.at(-1);
      return isMore && last ? { id: last.id, before: 0, after: STEP } : undefined;
    },
  });
  const lines =
    context.data?.pages.flatMap((page, at) => [
      ...page.before,
      ...(context.data.pageParams[at]?.id === record.id ? [page.record] : []),
      ...page.after,
    ]) ?? [];
  return (
    <div className={styles.context}>
      <fieldset className={styles.sources} aria-label="Whose records">
        {SOURCES.map(([key, label]) => (
          <Button key={key} small aria-pressed={source === key} onClick={() => setSource(key)}>
            {label}
          </Button>
        ))}
      </fieldset>
      {context.error ? <ErrorNote error={context.error} retry={() => void context.refetch()} /> : null}
      {context.isPending ? <Skeleton /> : null}
      {context.hasPreviousPage ? (
        <Button small disabled={context.isFetching} onClick={() => void context.fetchPreviousPage()}>
          Earlier
        </Button>
      ) : null}
      <ol className={styles.lines} aria-label="Records around it" data-old={context.isPlaceholderData}>
        {lines.map((one) => {
          const word = severity(one.severity_number);
          return (
            <li key={one.id}>
              <button
                type="button"
                className={styles.line}
                aria-current={one.id === record.id}
                onClick={() => onOpen(one)}
              >
                <span className={styles.time}>{moment(one.timestamp, zone).time}</span>
                <span className={`${styles.severity} ${severities.severity}`} data-severity={word}>
                  {word}
                </span>
                <span className={styles.body}>
                  {source === "any" ? <ServiceName name={one.service_name} /> : null}{" "}
                  {valueText(one.body).slice(0, SHOWN_CHARS)}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
      {context.hasNextPage ? (
        <Button small disabled={context.isFetching} onClick={() => void context.fetchNextPage()}>
          Later
        </Button>
      ) : null}
    </div>
  );
}
