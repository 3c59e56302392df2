import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { answered, api } from "../../api/client";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { boxWords, Heatmap } from "../../charts/Heatmap";
import { NoChart } from "../../charts/NoChart";
import { Button } from "../../parts/controls";
import { counted } from "../../parts/pure/formats";
import { boxText, durationTerm, parsedBox, rowOf, rowStart, slowRow } from "../../parts/pure/heat";
import { without, withTerm } from "../../parts/pure/terms";
import { iso } from "../../parts/pure/times";
import styles from "./Traces.module.css";

const NS_PER_MS = 1_000_000;
const SLOW_SHARE = 0.05;
const isDuration = (piece: string): boolean => /^-?duration(?:[:=<>]|!=)/.test(piece);

/** How long the spans that match took, over time. A box on it filters, or is compared with the rest. */
export function TraceHeatmap({ query, isMistake }: { query: string; isMistake: boolean }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const place = usePlace();
  const setPlace = useSetPlace();
  const answer = useQuery({
    queryKey: ["traces heatmap", tenantId, range.start, range.end, query],
    queryFn: ({ signal }) => {
      const asked = { start: range.start, end: range.end, query };
      return answered(api.GET("/api/v1/traces/heatmap", { params: { query: asked }, signal }));
    },
  });
  const cells = useMemo(() => {
    const { buckets = [], durations_ns: durations = [], counts = [], error_counts: errors = [] } = answer.data ?? {};
    return buckets.map((bucket, at) => ({
      bucket,
      row: rowOf(durations[at] ?? 1),
      count: counts[at] ?? 0,
      errors: errors[at] ?? 0,
    }));
  }, [answer.data]);
  if (answer.data === undefined || isMistake || cells.length === 0) {
    return <NoChart height={179} error={answer.error} isMistake={isMistake} retry={() => void answer.refetch()} />;
  }
  const { start, step_ns: step, bucket_count: buckets, count: total } = answer.data;
  const startMs = Date.parse(start);
  const stepMs = step / NS_PER_MS;
  const box = parsedBox(place.box);
  const slow = slowRow(
    cells.map((cell) => cell.row),
    cells.map((cell) => cell.count),
    SLOW_SHARE,
  );
  const compareSlow = (row: number): void => {
    const top = Math.max(...cells.map((cell) => cell.row)) + 1;
    const [minNs, maxNs] = [rowStart(row), rowStart(top)];
    setPlace({ box: boxText({ startMs, endMs: startMs + buckets * stepMs, minNs, maxNs }), view: "compare" });
  };
  return (
    <>
      <Heatmap
        label={counted(total, "span")}
        startMs={startMs}
        stepMs={stepMs}
        buckets={buckets}
        cells={cells}
        zone={range.zone}
        box={box}
        onBox={(drawn) => setPlace({ box: boxText(drawn) }, { replace: box !== undefined })}
      />
      <div className={styles.boxTools}>
        {box ? (
          <>
            <span>{boxWords(box, range.zone)}</span>
            <Button
              small
              onClick={() =>
                setPlace({
                  q: withTerm(without(query, isDuration), durationTerm(box)),
                  range: undefined,
                  from: iso(box.startMs),
                  to: iso(box.endMs),
                  box: undefined,
                  view: undefined,
                })
              }
            >
              Only these
            </Button>
            <Button
              small
              look={place.view === "compare" ? "plain" : "primary"}
              aria-pressed={place.view === "compare"}
              onClick={() => setPlace({ view: place.view === "compare" ? undefined : "compare" })}
            >
              Compare with the rest
            </Button>
            <Button small look="quiet" onClick={() => setPlace({ box: undefined, view: undefined })}>
              Clear
            </Button>
          </>
        ) : (
          <>
            <span>Drag a box over the map to filter by it, or to see what its spans have in common.</span>
            {slow === undefined ? null : (
              <Button small onClick={() => compareSlow(slow)}>
                Compare the slowest
              </Button>
            )}
          </>
        )}
      </div>
    </>
  );
}
