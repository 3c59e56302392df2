import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Histogram } from "../../charts/Histogram";
import { NoChart } from "../../charts/NoChart";
import { counted } from "../../parts/pure/formats";
import { iso } from "../../parts/pure/times";

const STACKED = ["trace", "debug", "info", "none", "warn", "error", "fatal"];
export const BY_SEVERITY = "severity";
/** So many values are told apart; the rest is one. */
const VALUES = 7;
const NS_PER_MS = 1_000_000;

/** How many records match over time, by severity or another field. It counts all of them, not those that the list has loaded. */
export function LogHistogram({ query, isMistake }: { query: string; isMistake: boolean }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const setPlace = useSetPlace();
  const { by = BY_SEVERITY } = usePlace();
  const isOther = by !== BY_SEVERITY;
  const answer = useQuery({
    queryKey: ["logs histogram", tenantId, range.start, range.end, query, by],
    queryFn: ({ signal }) => {
      const asked = { start: range.start, end: range.end, query, by, ...(isOther ? { limit: VALUES } : {}) };
      return answered(api.GET("/api/v1/logs/histogram", { params: { query: asked }, signal }));
    },
  });
  if (answer.data === undefined || isMistake) {
    return <NoChart height={103} error={answer.error} isMistake={isMistake} retry={() => void answer.refetch()} />;
  }
  const { start, step_ns: step, bucket_count: buckets, series, count: total } = answer.data;
  const ordered = isOther
    ? series.map(({ value, is_other: isRest, counts }) => ({ value: isRest ? "others" : (value ?? "none"), counts }))
    : series
        .map(({ value, counts }) => ({ value: value ?? "none", counts }))
        .toSorted((a, b) => STACKED.indexOf(a.value) - STACKED.indexOf(b.value));
  return (
    <Histogram
      label={counted(total, "record")}
      startMs={Date.parse(start)}
      stepMs={step / NS_PER_MS}
      buckets={buckets}
      series={ordered}
      zone={range.zone}
      isOther={isOther}
      onBrush={(from, to) => setPlace({ range: undefined, from: iso(from), to: iso(to), open: undefined })}
    />
  );
}
