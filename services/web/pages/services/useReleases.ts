import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { answered, api } from "../../api/client";
import type { ReleaseList } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";

/** The versions that were first seen in the range, of one service. */
export function useReleases(service: string): UseQueryResult<ReleaseList> {
  const tenantId = useTenantId();
  const { start, end } = useRange();
  return useQuery({
    queryKey: ["releases", tenantId, service, start, end],
    queryFn: ({ signal }) =>
      answered(api.GET("/api/v1/releases", { params: { query: { service, start, end } }, signal })),
    // Without them the charts are still true.
    retry: false,
  });
}
