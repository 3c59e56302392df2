import { useQuery } from "@tanstack/react-query";
import { answered, api } from "../../api/client";
import type { Metric } from "../../api/schema";
import { useTenantId } from "../../app/place";

const PAGE = 200;
const PAGES_MAX = 10;

export interface Catalogue {
  items: readonly Metric[];
  /** Whether there are more than these. */
  isCut: boolean;
}

/** The metrics of the tenant by name, 2,000 at most. */
export function useMetrics(enabled = true) {
  const tenantId = useTenantId();
  return useQuery({
    queryKey: ["metrics", tenantId],
    queryFn: async ({ signal }): Promise<Catalogue> => {
      const items: Metric[] = [];
      let cursor: string | null = null;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor ? { cursor } : {}) };
        const answer = await answered(api.GET("/api/v1/metrics", { params: { query }, signal }));
        items.push(...answer.items);
        cursor = answer.next_cursor;
        if (cursor === null) break;
      }
      return { items, isCut: cursor !== null };
    },
    enabled,
  });
}
