import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { answered, api } from "../../api/client";
import { useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { type Severity, severity, valueText } from "../../parts/pure/formats";
import { iso, nanoseconds } from "../../parts/pure/times";
import type { TraceModel } from "./model";

/** A record that was written while a span ran. */
export interface LogMark {
  id: string;
  /** When, in nanoseconds from the start of the trace. */
  ns: number;
  word: Severity;
  text: string;
}

const RECORDS_MAX = 1000;
const MARGIN_MS = 60_000;
const TEXT_CHARS = 200;
const NONE: ReadonlyMap<number, readonly LogMark[]> = new Map();

/** The records of a trace by the positions of the spans that they name; those of the first thousand. */
export function useTraceLogs(model: TraceModel): ReadonlyMap<number, readonly LogMark[]> {
  const tenantId = useTenantId();
  const startMs = Date.parse(model.start);
  const logs = useQuery({
    queryKey: ["trace marks", tenantId, model.id],
    queryFn: ({ signal }) => {
      const start = iso(startMs - MARGIN_MS);
      const end = iso(startMs + model.durationNs / 1_000_000 + MARGIN_MS);
      const body = { query: `trace_id:${model.id}`, start, end, limit: RECORDS_MAX };
      return answered(api.POST("/api/v1/logs/search", { body, signal }));
    },
    enabled: mayI("log:read"),
    staleTime: Number.POSITIVE_INFINITY,
    // A waterfall without them is whole all the same; the panel has them, and says what is wrong.
    retry: false,
  });
  return useMemo(() => {
    if (!logs.data) return NONE;
    const began = nanoseconds(model.start);
    const marks = new Map<number, LogMark[]>();
    for (const record of logs.data.items) {
      const at = record.span_id ? model.byId.get(record.span_id) : undefined;
      if (at === undefined) continue;
      const mark = {
        id: record.id,
        ns: Number(nanoseconds(record.timestamp) - began),
        word: severity(record.severity_number),
        text: valueText(record.body).slice(0, TEXT_CHARS),
      };
      const others = marks.get(at);
      if (others) others.push(mark);
      else marks.set(at, [mark]);
    }
    return marks;
  }, [logs.data, model]);
}
