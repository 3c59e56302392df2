import { useQuery } from "@tanstack/react-query";
import { answered, api } from "../../api/client";
import type { FieldPage } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";

export type Signal = "logs" | "traces";
/** What a query may be of: the items of a signal, or the series of a metric. */
export type Queried = Signal | "metrics";

const NAMES_MAX = 200;

interface FieldNames {
  data: FieldPage | undefined;
  error: unknown;
}

/** Fields and attributes that items of the range had, by name: those that begin so, or all; of one metric, its labels. */
export function useFieldNames(signal: Queried, prefix: string, enabled: boolean, metric?: string): FieldNames {
  const tenantId = useTenantId();
  const { start, end } = useRange();
  return useQuery({
    queryKey: ["fields", tenantId, signal, start, end, prefix, metric],
    queryFn: ({ signal: abort }) => {
      const query = { signal, start, end, limit: NAMES_MAX, prefix, ...(metric ? { metric } : {}) };
      return answered(api.GET("/api/v1/fields", { params: { query }, signal: abort }));
    },
    enabled,
  });
}

/** How many items had each field, whether on themselves or on their resource. */
export function countsByName(pages: readonly (FieldPage | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const page of pages) {
    for (const { name, count } of page?.items ?? []) counts.set(name, Math.max(count, counts.get(name) ?? 0));
  }
  return counts;
}

/** A name as a part of a path, which is decoded twice. */
export const inPath = (name: string): string => (/[/%]/.test(name) ? encodeURIComponent(name) : name);
