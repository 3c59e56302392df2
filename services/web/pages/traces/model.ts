// A trace as the waterfall needs it, made from what the API answers.
import { answered, api } from "../../api/client";
import type { Span, Trace } from "../../api/schema";
import { type SpanTree, spanTree, type TreeSpan } from "../../parts/pure/spanTree";
import { nanoseconds } from "../../parts/pure/times";

export interface SpanRow extends TreeSpan {
  name: string;
  service: string;
  kind: string;
  span: Span;
}

export interface TraceModel {
  id: string;
  start: string;
  durationNs: number;
  services: readonly string[];
  errorCount: number;
  spanCount: number;
  rows: readonly SpanRow[];
  tree: SpanTree;
  byId: ReadonlyMap<string, number>;
}

export const SPANS_MAX = 100_000;

/** Fetches all pages of a trace, up to `SPANS_MAX` spans. */
export async function fetchTrace(traceId: string, signal: AbortSignal): Promise<TraceModel> {
  const spans: Span[] = [];
  let first: Trace | undefined;
  let cursor: string | null | undefined;
  do {
    const query = cursor ? { cursor } : {};
    const page: Trace = await answered(
      api.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id: traceId }, query }, signal }),
    );
    first ??= page;
    for (const span of page.spans) spans.push(span);
    cursor = page.next_cursor;
  } while (cursor && spans.length < SPANS_MAX);
  return traceModel(first, spans);
}

/** The model of these spans; offsets count from the earliest of them. */
export function traceModel(trace: Trace, spans: readonly Span[]): TraceModel {
  let earliest: bigint | undefined;
  const starts = spans.map((span) => {
    const start = nanoseconds(span.start);
    if (earliest === undefined || start < earliest) earliest = start;
    return start;
  });
  const zero = earliest ?? 0n;
  const rows = spans.map((span, index) => ({
    id: span.span_id,
    parentId: span.parent_span_id,
    start: Number((starts[index] ?? zero) - zero),
    duration: span.duration_ns,
    failed: span.status === "error",
    name: span.name,
    service: span.service_name,
    kind: span.kind,
    span,
  }));
  const end = rows.reduce((latest, row) => Math.max(latest, row.start + row.duration), 0);
  const tree = spanTree(rows);
  const byId = new Map<string, number>();
  for (let at = tree.order.length - 1; at >= 0; at -= 1) byId.set(rows[tree.order[at] ?? 0]?.id ?? "", at);
  return {
    id: trace.trace_id,
    start: trace.start,
    durationNs: Math.max(end, trace.duration_ns, 1),
    services: trace.services,
    errorCount: trace.error_count,
    spanCount: trace.span_count,
    rows,
    tree,
    byId,
  };
}
