import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { answered, api } from "../../api/client";
import { useRange, useTenantId } from "../../app/place";
import { fitting, type Offer, type Writing } from "../pure/completion";
import { countsByName, inPath, type Queried, useFieldNames } from "./useFieldNames";

/** The fields of the language that are no attributes, and the values of those that have few. */
const FIELDS: Record<Queried, readonly string[]> = {
  metrics: ["service", "scope"],
  logs: ["service", "severity", "body", "event", "scope", "severity_text", "trace_id", "span_id"],
  traces: [
    ...["service", "name", "status", "duration", "kind", "status_message"],
    ...["event", "scope", "trace_id", "span_id", "parent_span_id"],
  ],
};
const VALUES: Record<string, readonly string[]> = {
  severity: ["trace", "debug", "info", "warn", "error", "fatal"],
  status: ["error", "ok", "unset"],
  kind: ["server", "client", "internal", "producer", "consumer"],
  duration: ["100ms", "500ms", "1s", "5s"],
};
const UNCOUNTED = new Set(["body", "trace_id", "span_id", "parent_span_id", "duration"]);
const OFFERED_MAX = 10;
const PAUSE_MS = 120;

/** The names and values that may stand where somebody writes, with how many items have them. */
export function useCompletion(signal: Queried, writing: Writing | undefined, metric?: string): readonly Offer[] {
  const tenantId = useTenantId();
  const { start, end } = useRange();
  const settled = useSettled(writing?.prefix ?? "");
  const isField = writing?.kind === "field";
  const names = useFieldNames(signal, "", isField, metric);
  const more = useFieldNames(signal, settled, isField && settled !== "" && names.data?.next_cursor != null, metric);
  const field = writing?.field ?? "";
  const values = useQuery({
    queryKey: ["values", tenantId, signal, start, end, field, settled, metric],
    queryFn: ({ signal: abort }) => {
      const params = {
        path: { name: inPath(field) },
        query: { signal, start, end, prefix: settled, ...(metric ? { metric } : {}) },
      };
      return answered(api.GET("/api/v1/fields/{name}/values", { params, signal: abort }));
    },
    enabled: writing?.kind === "value" && field !== "" && !UNCOUNTED.has(field),
    retry: false,
  });
  if (writing === undefined) return [];
  if (isField) {
    const counts = countsByName([names.data, more.data]);
    const own = FIELDS[signal].map((value) => ({ value, count: counts.get(value) }));
    const others = [...counts].filter(([name]) => !FIELDS[signal].includes(name)).sort(([, a], [, b]) => b - a);
    return fitting([...own, ...others.map(([value, count]) => ({ value, count }))], writing.prefix, OFFERED_MAX);
  }
  const counted: Offer[] = [];
  for (const { value, count } of values.isPlaceholderData ? [] : (values.data?.items ?? [])) {
    const same = counted.find((one) => one.value === value);
    if (same) same.count = (same.count ?? 0) + count;
    else counted.push({ value, count });
  }
  const known = (VALUES[field] ?? []).filter((value) => !counted.some((one) => one.value === value));
  return fitting([...counted, ...known.map((value) => ({ value }))], writing.prefix, OFFERED_MAX);
}

/** A text once nobody has changed it for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
