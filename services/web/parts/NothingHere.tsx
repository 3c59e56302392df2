import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useContext } from "react";
import { answered, api } from "../api/client";
import { NowContext, type Place, sameTime, useRange, useSetPlace, useTenantId } from "../app/place";
import { mayI } from "../app/session";
import { ITEM } from "./Arrivals";
import { Button, buttonClass } from "./controls";
import { iso, lengthMs, rangeLabel } from "./pure/times";
import { Empty, ErrorNote, Skeleton } from "./states";

const AROUND_MS = 1_800_000;
const LOOK_BACK_MS = 30 * 86_400_000;
const LONGER = ["24h", "7d", "30d"];

/** Nothing in the range, whatever one asks: because nothing was ever sent, or because of the range. */
export function NothingHere({ signal }: { signal: "traces" | "logs" | "metrics" }): ReactNode {
  const tenantId = useTenantId();
  const setPlace = useSetPlace();
  const { startMs } = useRange();
  const now = useContext(NowContext).ms;
  const mayRead = mayI("tenant:read");
  const status = useQuery({
    queryKey: ["ingest status", tenantId],
    queryFn: ({ signal: abort }) => answered(api.GET("/api/v1/ingest/status", { signal: abort })),
    enabled: mayRead,
    staleTime: 0,
  });
  const newest = useMutation({
    mutationFn: async () => {
      const at = await newestOf(signal);
      if (at !== undefined) {
        setPlace({ range: undefined, from: iso(at - AROUND_MS), to: iso(at + AROUND_MS) });
      }
      return at !== undefined;
    },
  });
  if (mayRead && status.isPending) return <Skeleton />;
  const here = status.data?.signals.find((one) => one.signal === signal);
  const isNew = status.data?.first_ever && (here?.items ?? 0) === 0;
  if (isNew) {
    return (
      <Empty
        title={`No ${ITEM[signal]}s were sent yet`}
        actions={
          <Link
            to="/t/$tenantId/start"
            params={{ tenantId }}
            search={(was: Place) => sameTime(was)}
            className={buttonClass("primary")}
          >
            Send data
          </Link>
        }
      >
        What is sent over OTLP appears here within seconds.
        {here?.rejected.length ? " Something was sent and rejected: Send data says why." : ""}
      </Empty>
    );
  }
  const longer = LONGER.filter((range) => now - (lengthMs(range) ?? 0) < startMs).slice(0, 2);
  return (
    <Empty
      title={`No ${ITEM[signal]}s in this range`}
      actions={
        <>
          {signal === "metrics" ? null : (
            <Button look="primary" disabled={newest.isPending} onClick={() => newest.mutate()}>
              Go to the newest
            </Button>
          )}
          {longer.map((range) => (
            <Button key={range} onClick={() => setPlace({ range, from: undefined, to: undefined })}>
              {rangeLabel({ range }, undefined)}
            </Button>
          ))}
        </>
      }
    >
      {newest.error ? <ErrorNote error={newest.error} /> : null}
      {newest.data === false
        ? `There are none of the last 30 days either.`
        : longer.length > 0
          ? "There may be some of other times."
          : null}
    </Empty>
  );
}

/** When the newest item of the last month was; undefined if there is none. */
async function newestOf(signal: "traces" | "logs" | "metrics"): Promise<number | undefined> {
  const end = Date.now() + 86_400_000;
  const body = { query: "", start: iso(end - LOOK_BACK_MS), end: iso(end), limit: 1 };
  if (signal === "logs") {
    const found = await answered(api.POST("/api/v1/logs/search", { body }));
    return found.items[0] && Date.parse(found.items[0].timestamp);
  }
  const found = await answered(api.POST("/api/v1/traces/search", { body }));
  return found.items[0] && Date.parse(found.items[0].start);
}
