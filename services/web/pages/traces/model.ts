// A trace as the waterfall needs it, made from the columns that the API answers.
import type { TraceColumns } from "../../api/schema";
import { type Gap, longGaps, type Scale, scaleOf } from "../../parts/pure/gaps";
import { type SpanTree, spanTree } from "../../parts/pure/spanTree";

export interface SpanRow {
  id: string;
  name: string;
  service: string;
  kind: string;
  /** Offset to the start of the trace, duration, and what of it no child covers, in nanoseconds. */
  start: number;
  duration: number;
  self: number;
  failed: boolean;
  isOrphan: boolean;
  isMoved: boolean;
  isCritical: boolean;
}

export interface TraceModel {
  id: string;
  start: string;
  durationNs: number;
  services: readonly string[];
  errorCount: number;
  spanCount: number;
  /** Spans in the order of the waterfall; positions everywhere are places in it. */
  rows: readonly SpanRow[];
  /** By position: a number for service, name and kind together. */
  sorts: Float64Array;
  /** Where nothing begins or ends for long, and nothing but spans that wait for others is under way. */
  gaps: readonly Gap[];
  tree: SpanTree;
  byId: ReadonlyMap<string, number>;
}

const ORPHAN = 1;
const MOVED = 2;
const CRITICAL = 4;

/** The model of these columns. */
export function traceModel(columns: TraceColumns): TraceModel {
  const { spans, names, services, kinds, statuses } = columns;
  const error = statuses.indexOf("error");
  const rows = spans.span_id.map((id, at): SpanRow => {
    const flags = spans.flags[at] ?? 0;
    return {
      id,
      name: names[spans.name[at] ?? 0] ?? "",
      service: services[spans.service[at] ?? 0] ?? "",
      kind: kinds[spans.kind[at] ?? 0] ?? "",
      start: spans.offset_ns[at] ?? 0,
      duration: spans.duration_ns[at] ?? 0,
      self: spans.self_ns[at] ?? 0,
      failed: spans.status[at] === error,
      isOrphan: (flags & ORPHAN) > 0,
      isMoved: (flags & MOVED) > 0,
      isCritical: (flags & CRITICAL) > 0,
    };
  });
  const sorts = Float64Array.from(
    rows,
    (_, at) =>
      ((spans.name[at] ?? 0) * services.length + (spans.service[at] ?? 0)) * kinds.length + (spans.kind[at] ?? 0),
  );
  const durationNs = Math.max(columns.duration_ns, 1);
  const gaps = longGaps(
    spans.offset_ns,
    spans.duration_ns,
    durationNs,
    spans.self_ns.map((self, at) => self >= (spans.duration_ns[at] ?? 0)),
  );
  const byId = new Map<string, number>();
  for (let at = rows.length - 1; at >= 0; at -= 1) byId.set(rows[at]?.id ?? "", at);
  return {
    id: columns.trace_id,
    start: columns.start,
    durationNs,
    services,
    errorCount: columns.error_count,
    spanCount: columns.span_count,
    rows,
    sorts,
    gaps,
    tree: spanTree(spans.parent, spans.depth, (at) => spans.status[at] === error),
    byId,
  };
}

/** Where spans are on the screen: by position, on a scale that may have gaps folded. */
export interface Places {
  scale: Scale;
  left: Float64Array;
  right: Float64Array;
}

/** The places of a trace's spans, with long gaps folded or not. */
export function placesOf(model: TraceModel, isFolded: boolean): Places {
  const { rows, durationNs, gaps } = model;
  const scale = scaleOf(durationNs, isFolded ? gaps : []);
  const left = Float64Array.from(rows, (row) => scale.place(row.start));
  const right = Float64Array.from(rows, (row) => scale.place(row.start + row.duration));
  return { scale, left, right };
}
