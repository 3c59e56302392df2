import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import type { Span } from "../../api/schema";
import { type Place, sameTime, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { CopyButton, ServiceName } from "../../parts/controls";
import { attributeFields, Details, Fields, Section, Text } from "../../parts/lists/Details";
import { Tabs } from "../../parts/lists/Tabs";
import { count, duration, plain, severity, valueText } from "../../parts/pure/formats";
import { iso, moment, nanoseconds, type Zone } from "../../parts/pure/times";
import severities from "../../parts/severity.module.css";
import { ErrorNote, Skeleton } from "../../parts/states";
import type { SpanRow } from "./model";
import styles from "./Trace.module.css";

interface SpanDetailsProps {
  traceId: string;
  row: SpanRow;
  /** The range of the whole trace, for its logs. */
  startMs: number;
  endMs: number;
  zone: Zone;
  onClose: () => void;
  onTerm: (added: string) => void;
}

const STACK = "exception.stacktrace";
type Tab = "span" | "span logs" | "trace logs";

/** Everything of one span: attributes, events, links, resource, and the logs that name it. */
export function SpanDetails({ traceId, row, startMs, endMs, zone, onClose, onTerm }: SpanDetailsProps): ReactNode {
  const tenantId = useTenantId();
  const [tab, setTab] = useState<Tab>("span");
  const whole = useQuery({
    queryKey: ["span", tenantId, traceId, row.id],
    queryFn: ({ signal }) => {
      const params = { path: { trace_id: traceId, span_id: row.id } };
      return answered(api.GET("/api/v1/traces/{trace_id}/spans/{span_id}", { params, signal }));
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  // Both sides of a call may share one id.
  const answer = whole.isPlaceholderData ? undefined : whole.data?.items;
  const span = answer?.find((one) => one.service_name === row.service && one.kind === row.kind) ?? answer?.[0];
  const tabs: readonly (readonly [Tab, string])[] = [
    ["span", "Span"],
    ...(mayI("log:read")
      ? ([
          ["span logs", "Its logs"],
          ["trace logs", "Logs of the trace"],
        ] as const)
      : []),
  ];
  return (
    <Details
      label="Span"
      title={plain(row.name)}
      tools={span ? <CopyButton text={JSON.stringify(span, undefined, 2)} label="Copy JSON" /> : null}
      onClose={onClose}
    >
      <Tabs label="Span or logs" tabs={tabs} chosen={tab} onChoose={setTab} />
      {tab === "span" ? (
        <>
          {whole.error ? <ErrorNote error={whole.error} retry={() => void whole.refetch()} /> : null}
          {span ? <OfSpan span={span} selfNs={row.self} zone={zone} onTerm={onTerm} /> : null}
          {span ? <LinkedFrom traceId={traceId} spanId={span.span_id} startMs={startMs} endMs={endMs} /> : null}
          {span || whole.error ? null : <Skeleton />}
        </>
      ) : (
        <Logs
          key={`${tab} ${row.id}`}
          traceId={traceId}
          {...(tab === "span logs" ? { spanId: row.id } : {})}
          startMs={startMs}
          endMs={endMs}
          zone={zone}
        />
      )}
    </Details>
  );
}

interface OfSpanProps {
  span: Span;
  selfNs: number;
  zone: Zone;
  onTerm: (added: string) => void;
}

function OfSpan({ span, selfNs, zone, onTerm }: OfSpanProps): ReactNode {
  const { day, time } = moment(span.start, zone, 6);
  const started = nanoseconds(span.start);
  return (
    <>
      {span.status === "error" ? (
        <p className={styles.message}>
          <span className={styles.sign}>Error</span>{" "}
          {span.status_message ? plain(span.status_message) : "without a message"}
        </p>
      ) : null}
      <Section title="Span">
        <Fields
          onTerm={onTerm}
          fields={[
            { name: "service", value: span.service_name, field: "service" },
            { name: "name", value: span.name, field: "name" },
            { name: "duration", value: duration(span.duration_ns) },
            { name: "self time", value: duration(selfNs) },
            { name: "started", value: `${day} ${time}` },
            { name: "kind", value: span.kind, field: "kind" },
            { name: "status", value: span.status, field: "status" },
            { name: "span_id", value: span.span_id, field: "span_id" },
            ...(span.parent_span_id
              ? [{ name: "parent_span_id", value: span.parent_span_id, field: "parent_span_id" }]
              : []),
          ]}
        />
      </Section>
      {Object.keys(span.attributes).length > 0 ? (
        <Section title="Attributes">
          <Fields fields={attributeFields(span.attributes)} onTerm={onTerm} />
        </Section>
      ) : null}
      {span.events.length > 0 ? (
        <Section title={`Events, ${count(span.events.length)}`}>
          {span.events.map((event, index) => {
            const stack = event.attributes[STACK];
            const others = Object.fromEntries(Object.entries(event.attributes).filter(([name]) => name !== STACK));
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: events have no ids, and their order is fixed
              <div key={index} className={styles.event}>
                <div className={styles.eventHead}>
                  {plain(event.name)}
                  <span>+{duration(Number(nanoseconds(event.timestamp) - started))}</span>
                </div>
                <Fields fields={attributeFields(others, "event")} onTerm={onTerm} />
                {typeof stack === "string" ? <Text>{stack}</Text> : null}
              </div>
            );
          })}
        </Section>
      ) : null}
      {span.links.length > 0 ? <Links span={span} /> : null}
      <Section title="Resource">
        <Fields fields={attributeFields(span.resource.attributes, "resource")} onTerm={onTerm} />
      </Section>
      {span.scope.name ? (
        <Section title="Scope">
          <Fields fields={[{ name: "name", value: span.scope.name, field: "scope" }]} onTerm={onTerm} />
        </Section>
      ) : null}
    </>
  );
}

function Links({ span }: { span: Span }): ReactNode {
  const tenantId = useTenantId();
  return (
    <Section title="Links">
      {span.links.map((link) => (
        <div key={`${link.trace_id} ${link.span_id}`} className={styles.event}>
          <Link
            to="/t/$tenantId/traces/$traceId"
            params={{ tenantId, traceId: link.trace_id }}
            search={(was: Place) => ({ ...sameTime(was), open: link.span_id })}
          >
            <code>{link.trace_id}</code>
          </Link>
          <Fields fields={attributeFields(link.attributes)} />
        </div>
      ))}
    </Section>
  );
}

const LINKED_MAX = 20;
const LINKED_AFTER_MS = 3_600_000;

/** Traces with a span that links to this one: what was done later because of it, such as with a message. */
function LinkedFrom({
  traceId,
  spanId,
  startMs,
  endMs,
}: Omit<LogsProps, "zone" | "spanId"> & { spanId: string }): ReactNode {
  const tenantId = useTenantId();
  const linked = useQuery({
    queryKey: ["linked from", tenantId, traceId, spanId],
    queryFn: ({ signal }) => {
      const [start, end] = [iso(startMs - MARGIN_MS), iso(endMs + LINKED_AFTER_MS)];
      const query = `link.trace_id:${traceId} link.span_id:${spanId}`;
      return answered(api.POST("/api/v1/traces/search", { body: { query, start, end, limit: LINKED_MAX }, signal }));
    },
    staleTime: Number.POSITIVE_INFINITY,
    // The span is whole without it.
    retry: false,
  });
  const found = linked.isPlaceholderData ? [] : (linked.data?.items ?? []);
  if (found.length === 0) return null;
  return (
    <Section title="Linked from">
      {found.map((one) => (
        <div key={one.trace_id} className={styles.event}>
          <Link
            to="/t/$tenantId/traces/$traceId"
            params={{ tenantId, traceId: one.trace_id }}
            search={(was: Place) => sameTime(was)}
          >
            {plain(one.root_name)}
          </Link>{" "}
          <ServiceName name={one.root_service} />, {duration(one.duration_ns)}
        </div>
      ))}
    </Section>
  );
}

const LOGS_MAX = 200;
const MARGIN_MS = 60_000;

interface LogsProps {
  traceId: string;
  spanId?: string;
  startMs: number;
  endMs: number;
  zone: Zone;
}

function Logs({ traceId, spanId, startMs, endMs, zone }: LogsProps): ReactNode {
  const tenantId = useTenantId();
  const query = spanId ? `trace_id:${traceId} span_id:${spanId}` : `trace_id:${traceId}`;
  const [start, end] = [iso(startMs - MARGIN_MS), iso(endMs + MARGIN_MS)];
  const logs = useQuery({
    queryKey: ["trace logs", tenantId, query],
    queryFn: ({ signal }) =>
      answered(api.POST("/api/v1/logs/search", { body: { query, start, end, limit: LOGS_MAX }, signal })),
  });
  if (logs.error) return <ErrorNote error={logs.error} retry={() => void logs.refetch()} />;
  if (!logs.data) return <Skeleton />;
  if (logs.data.items.length === 0) return <p>No log record names {spanId ? "this span" : "this trace"}.</p>;
  return (
    <div>
      {logs.data.items.toReversed().map((record) => {
        const word = severity(record.severity_number);
        return (
          <Link
            key={record.id}
            to="/t/$tenantId/logs"
            params={{ tenantId }}
            search={{ from: start, to: end, q: query, open: record.id, ...(zone ? { tz: zone } : {}) }}
            className={styles.log ?? ""}
            title={plain(record.service_name)}
          >
            <span>{moment(record.timestamp, zone).time}</span>
            <span className={severities.severity} data-severity={word}>
              {word}
            </span>
            <span>
              {spanId ? null : <ServiceName name={record.service_name} />} {valueText(record.body)}
            </span>
          </Link>
        );
      })}
      {logs.data.next_cursor ? <p>The newest {count(LOGS_MAX)} of them.</p> : null}
    </div>
  );
}
