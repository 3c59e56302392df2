import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { answered, api } from "../../api/client";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { BandHeatmap } from "../../charts/BandHeatmap";
import type { Dot } from "../../charts/LineChart";
import { type Band, bandsOf, bandText } from "../../parts/pure/bands";
import { percent, plain } from "../../parts/pure/formats";
import type { MetricQuery } from "../../parts/pure/metricQueries";
import { iso } from "../../parts/pure/times";
import { number } from "../../parts/pure/units";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Metrics.module.css";

interface DistributionProps {
  query: MetricQuery;
  type: string;
  dots: readonly Dot[];
}

/** All that a histogram has observed, by time and by value, and the same as a table. */
export function Distribution({ query, type, dots }: DistributionProps): ReactNode {
  const tenantId = useTenantId();
  const { start, end, zone } = useRange();
  const setPlace = useSetPlace();
  const { metric, query: text } = query;
  const answer = useQuery({
    queryKey: ["metric", tenantId, "heatmap", start, end, metric, type, text],
    queryFn: ({ signal }) => {
      const asked = { metric, type, query: text, start, end };
      return answered(api.GET("/api/v1/metrics/heatmap", { params: { query: asked }, signal }));
    },
  });
  const { data } = answer;
  const bands = useMemo(() => (data ? bandsOf(data) : []), [data]);
  const cells = useMemo(() => {
    const { steps = [], bands: rows = [], counts = [] } = data ?? {};
    return steps.map((bucket, at) => ({ bucket, row: rows[at] ?? 0, count: counts[at] ?? 0, errors: 0 }));
  }, [data]);
  if (answer.error) return <ErrorNote error={answer.error} retry={() => void answer.refetch()} />;
  if (!data) return <Skeleton />;
  if (bands.length === 0) {
    return (
      <Empty title="No buckets in this range">
        {plain(metric)}, or what the query leaves of it, has no observations in buckets in it. Try a longer one.
      </Empty>
    );
  }
  return (
    <div className={answer.isPlaceholderData ? table.dim : ""}>
      <BandHeatmap
        label={`${number(data.count)} observations`}
        startMs={Date.parse(data.start)}
        stepMs={data.step_s * 1000}
        steps={data.step_count}
        bands={bands}
        cells={cells}
        unit={data.unit}
        zone={zone}
        dots={dots}
        onBrush={(from, to) => setPlace({ range: undefined, from: iso(from), to: iso(to) })}
      />
      {data.other_units.length > 0 ? (
        <p className={styles.note}>Points in other units are left out: {data.other_units.map(plain).join(", ")}.</p>
      ) : null}
      <BandTable bands={bands} unit={data.unit} metric={metric} />
    </div>
  );
}

/** The bands that have observations, the highest first, as they stand in the heatmap. */
function BandTable({ bands, unit, metric }: { bands: readonly Band[]; unit: string; metric: string }): ReactNode {
  const all = bands.reduce((sum, band) => sum + band.count, 0);
  const most = bands.reduce((found, band) => Math.max(found, band.count), 0);
  let reached = 0;
  return (
    <table className={table.table} aria-label={`Observations of ${plain(metric)} by value`}>
      <thead>
        <tr>
          <th scope="col">Value</th>
          <th scope="col" className={table.number}>
            Observations
          </th>
          <th scope="col" className={table.number}>
            Share
          </th>
          <th scope="col" className={table.number} title="Observations in this band and the higher ones">
            This or more
          </th>
          <th scope="col" className={styles.shares} aria-label="Share as a bar" />
        </tr>
      </thead>
      <tbody>
        {bands.toReversed().map((band) => {
          if (band.count === 0) return null;
          reached += band.count;
          return (
            <tr key={`${band.lower} ${band.upper}`}>
              <th scope="row">{bandText(band, unit)}</th>
              <td className={table.number}>{number(band.count)}</td>
              <td className={table.number}>{percent(band.count / all)}</td>
              <td className={table.number}>{percent(reached / all)}</td>
              <td className={styles.shares}>
                <div className={styles.share} style={{ width: `${(band.count / most) * 100}%` }} aria-hidden="true" />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
