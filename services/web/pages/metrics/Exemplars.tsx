import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { answered, api } from "../../api/client";
import type { Exemplar } from "../../api/schema";
import { type Place, sameTime, useRange, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import type { Dot } from "../../charts/LineChart";
import { ServiceName } from "../../parts/controls";
import { plain, valueText } from "../../parts/pure/formats";
import { iso, moment } from "../../parts/pure/times";
import { inUnit } from "../../parts/pure/units";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Metrics.module.css";

/** The range is asked for in parts, so that exemplars are not all of its last minute. */
const PARTS = 6;
const EACH = 40;
const DOTS_WIDE = 60;

export interface FoundExemplars {
  items: readonly Exemplar[];
  dots: readonly Dot[];
  error: unknown;
  isPending: boolean;
  /** Whether the range has more than these. */
  isCut: boolean;
}

/** Single measurements of a metric in the range, the latest first, and the highest of them as dots for its chart. */
export function useExemplars(metric: string, enabled: boolean): FoundExemplars {
  const tenantId = useTenantId();
  const { start, end, startMs, endMs } = useRange();
  const answer = useQuery({
    queryKey: ["metric", tenantId, "exemplars", start, end, metric],
    queryFn: async ({ signal }) => {
      const at = (part: number): string => iso(Math.round(startMs + ((endMs - startMs) * part) / PARTS));
      const pages = await Promise.all(
        Array.from({ length: PARTS }, (_, part) => {
          const query = { metric, start: at(part), end: at(part + 1), limit: EACH };
          return answered(api.GET("/api/v1/metrics/exemplars", { params: { query }, signal }));
        }),
      );
      const items = pages.toReversed().flatMap((page) => page.items);
      return { items, isCut: pages.some((page) => page.next_cursor !== null) };
    },
    enabled: enabled && metric !== "",
  });
  const items = answer.data?.items;
  const dots = useMemo(() => {
    if (!mayI("trace:read")) return [];
    // Of those that would lie over each other, the highest.
    const highest = new Map<number, Exemplar>();
    for (const one of items ?? []) {
      const place = Math.floor(((Date.parse(one.timestamp) - startMs) / (endMs - startMs)) * DOTS_WIDE);
      if (one.trace_id !== null && (one.value ?? 0) >= (highest.get(place)?.value ?? 0)) highest.set(place, one);
    }
    return [...highest.values()].flatMap((one) => dotOf(one, tenantId));
  }, [items, tenantId, startMs, endMs]);
  return {
    items: items ?? [],
    dots: enabled ? dots : [],
    error: answer.error,
    isPending: answer.isPending,
    isCut: answer.data?.isCut ?? false,
  };
}

function dotOf(exemplar: Exemplar, tenantId: string): Dot[] {
  const { value, trace_id: traceId, span_id: spanId, timestamp } = exemplar;
  if (value === null || traceId === null) return [];
  const key = `${traceId} ${spanId} ${timestamp}`;
  return [
    {
      key,
      ms: Date.parse(timestamp),
      value,
      link: (place) => (
        <Link
          key={key}
          to="/t/$tenantId/traces/$traceId"
          params={{ tenantId, traceId }}
          search={(was: Place) => ({ ...sameTime(was), ...(spanId ? { open: spanId } : {}) })}
          // The table of exemplars has the same links for keys.
          tabIndex={-1}
          preload={false}
          draggable={false}
          title={`Trace behind this value, ${plain(exemplar.service)}`}
          onPointerDown={(event) => event.stopPropagation()}
          {...place}
        />
      ),
    },
  ];
}

interface ExemplarTableProps {
  found: FoundExemplars;
  metric: string;
  unit: string;
}

/** Single measurements with the traces in which they were taken. */
export function ExemplarTable({ found, metric, unit }: ExemplarTableProps): ReactNode {
  const tenantId = useTenantId();
  const { zone } = useRange();
  if (found.error) return <ErrorNote error={found.error} />;
  if (found.isPending) return <Skeleton />;
  if (found.items.length === 0) {
    return (
      <Empty title="No exemplars in this range">
        {plain(metric)} came without single measurements. SDKs attach them to histograms that are recorded within a
        sampled span.
      </Empty>
    );
  }
  const maySee = mayI("trace:read");
  return (
    <>
      <table className={table.table}>
        <thead>
          <tr>
            <th scope="col">{zone ?? "Local time"}</th>
            <th scope="col">Service</th>
            <th scope="col" className={table.number}>
              Value
            </th>
            <th scope="col">Attributes</th>
            <th scope="col">Trace</th>
          </tr>
        </thead>
        <tbody>
          {found.items.map((one) => {
            const { day, time } = moment(one.timestamp, zone);
            return (
              <tr key={`${one.trace_id} ${one.span_id} ${one.timestamp}`}>
                <td>
                  {day} {time}
                </td>
                <td>
                  <ServiceName name={one.service} />
                </td>
                <td className={table.number}>{one.value === null ? "–" : inUnit(one.value, unit)}</td>
                <td className={styles.attributes}>
                  {Object.entries(one.attributes)
                    .map(([name, value]) => `${plain(name)}=${valueText(value)}`)
                    .join(", ")}
                </td>
                <td>
                  {one.trace_id === null ? (
                    <span className={table.faint}>none</span>
                  ) : maySee ? (
                    <Link
                      to="/t/$tenantId/traces/$traceId"
                      params={{ tenantId, traceId: one.trace_id }}
                      search={(was: Place) => ({ ...sameTime(was), ...(one.span_id ? { open: one.span_id } : {}) })}
                    >
                      <code>{one.trace_id}</code>
                    </Link>
                  ) : (
                    <code>{one.trace_id}</code>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {found.isCut ? <p className={styles.note}>The latest of each sixth of the range; there are more.</p> : null}
    </>
  );
}
