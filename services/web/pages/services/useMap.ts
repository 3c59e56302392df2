import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { answered, api } from "../../api/client";
import type { ServiceMap } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";

const DAY_MS = 86_400_000;
/** Of longer ranges the API joins no spans. */
export const MAP_DAYS_MAX = 7;

/** Who called whom in the range; nothing is asked for a range that is too long. */
export function useMap(): UseQueryResult<ServiceMap> & { isTooLong: boolean } {
  const tenantId = useTenantId();
  const { start, end, startMs, endMs } = useRange();
  const isTooLong = endMs - startMs > MAP_DAYS_MAX * DAY_MS;
  const answer = useQuery({
    queryKey: ["service map", tenantId, start, end],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/service-map", { params: { query: { start, end } }, signal })),
    enabled: !isTooLong,
  });
  return { ...answer, isTooLong };
}
