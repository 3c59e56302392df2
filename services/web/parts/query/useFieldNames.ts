import { useQuery } from "@tanstack/react-query";
import { answered, api } from "../../api/client";
import type { FieldPage } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";

export type Signal = "logs" | "traces";

const NAMES_MAX = 200;

interface FieldNames {
  data: FieldPage | undefined;
  error: unknown;
}

/** Fields and attributes that items of the range had, by name: those that begin so, or all. */
export function useFieldNames(signal: Signal, prefix: string, enabled: boolean): FieldNames {
  const tenantId = useTenantId();
  const { start, end } = useRange();
  return useQuery({
    queryKey: ["fields", tenantId, signal, start, end, prefix],
    queryFn: ({ signal: abort }) => {
      const query = { signal, start, end, limit: NAMES_MAX, prefix };
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
