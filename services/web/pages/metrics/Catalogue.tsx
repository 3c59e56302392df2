import { useQuery } from "@tanstack/react-query";
import { memo, type ReactNode, useMemo, useRef, useState } from "react";
import { answered, api } from "../../api/client";
import type { Metric } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Sparkline } from "../../charts/Sparkline";
import { ServiceName } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import results from "../../parts/lists/Results.module.css";
import { Rows } from "../../parts/lists/Rows";
import { NothingHere } from "../../parts/NothingHere";
import { count, counted, plain } from "../../parts/pure/formats";
import { figures, newQuery, queriesText, unitOf, usualAggregation } from "../../parts/pure/metricQueries";
import { clock } from "../../parts/pure/times";
import { inUnit, unitName } from "../../parts/pure/units";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import { useDraft } from "../../parts/useDraft";
import styles from "./Metrics.module.css";
import { useMetrics } from "./useMetrics";

const ROW_PX = 52;
const SERVICES_SHOWN = 2;

/** Every metric with its type, unit, services and how it went in the range. */
export function Catalogue(): ReactNode {
  const { q = "" } = usePlace();
  const setPlace = useSetPlace();
  const all = useMetrics();
  const search = useRef<HTMLInputElement>(null);
  const [filter, setFilter] = useDraft(q, (text) => setPlace({ q: text }, { replace: true }));
  const [at, setAt] = useState(-1);
  const found = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return (all.data?.items ?? []).filter((one) =>
      [one.name, one.description, ...one.services].some((text) => text.toLowerCase().includes(wanted)),
    );
  }, [all.data, filter]);
  const move = (by: number): void => setAt((now) => Math.max(0, Math.min(found.length - 1, now + by)));
  const open = (metric: Metric | undefined): void => {
    if (metric) setPlace({ m: queriesText([newQuery(metric.name)]) });
  };
  useKeys([
    { keys: "/", what: "Search", run: () => search.current?.focus() },
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    { keys: "Enter", what: "Open the row", run: () => open(found[at]) },
  ]);
  return (
    <div className={results.list}>
      <div className={styles.bar}>
        <input
          ref={search}
          className={`${controls.input} ${table.search}`}
          type="search"
          placeholder="Name, text or service (/)"
          aria-label="Find a metric by name, description or service"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
      </div>
      {all.error ? (
        <div className={results.note}>
          <ErrorNote error={all.error} retry={() => void all.refetch()} />
        </div>
      ) : all.data === undefined ? (
        <Skeleton />
      ) : all.data.items.length === 0 ? (
        <NothingHere signal="metrics" />
      ) : found.length === 0 ? (
        <Empty title="No metric is like that">Of {counted(all.data.items.length, "metric")}.</Empty>
      ) : (
        <>
          <div className={results.head} aria-hidden="true">
            <div className={styles.head}>
              <span>Metric</span>
              <span>Type</span>
              <span>Unit</span>
              <span className={styles.of}>Services</span>
              <span>In this range</span>
              <span className={table.number}>Latest</span>
            </div>
          </div>
          <Rows
            label="Metrics"
            count={found.length}
            height={ROW_PX}
            chosen={at}
            onMove={move}
            render={(index, id) => {
              const metric = found[index];
              return metric ? (
                <MetricRow metric={metric} index={index} id={id} isChosen={index === at} onOpen={open} />
              ) : null;
            }}
          />
          <div className={results.foot}>
            {counted(found.length, "metric")}
            {all.data.isCut ? `, of the first ${count(all.data.items.length)} by name` : ""}
          </div>
        </>
      )}
    </div>
  );
}

interface MetricRowProps {
  metric: Metric;
  index: number;
  id: string;
  isChosen: boolean;
  onOpen: (metric: Metric) => void;
}

export const TYPE_NAMES: Record<string, string> = { exponential_histogram: "exp. histogram" };

const MetricRow = memo(function MetricRow({ metric, index, id, isChosen, onOpen }: MetricRowProps): ReactNode {
  const { zone } = useRange();
  const aggregation = usualAggregation(metric);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrow keys, j, k and Enter act on the list that holds the rows
    <div
      className={styles.metric}
      role="row"
      id={id}
      aria-rowindex={index + 1}
      aria-selected={isChosen}
      onClick={() => onOpen(metric)}
    >
      <span role="gridcell" className={styles.name}>
        <b title={plain(metric.name)}>{plain(metric.name)}</b>
        <span title={plain(metric.description)}>{plain(metric.description) || " "}</span>
      </span>
      <span role="gridcell">
        {TYPE_NAMES[metric.type] ?? metric.type}
        {metric.type === "counter" && !metric.is_monotonic ? " (up and down)" : ""}
      </span>
      <span role="gridcell" title={plain(metric.unit)}>
        {unitName(metric.unit) || <span className={table.faint}>–</span>}
      </span>
      <span role="gridcell" className={styles.of} title={metric.services.map(plain).join(", ")}>
        {metric.services.slice(0, SERVICES_SHOWN).map((name) => (
          <ServiceName key={name} name={name} />
        ))}
        {metric.services.length > SERVICES_SHOWN ? (
          <span className={table.faint}>+{metric.services.length - SERVICES_SHOWN}</span>
        ) : null}
      </span>
      <Small
        metric={metric}
        aggregation={aggregation}
        seen={`last seen ${clock(Math.floor(Date.parse(metric.last_seen) / 60_000) * 60_000, zone)}`}
      />
    </div>
  );
});

const POINTS = 48;
const STEP_LEAST_S = 10;

/** How a metric went, and its newest value. Asked for when the row comes in sight. */
function Small({ metric, aggregation, seen }: { metric: Metric; aggregation: string; seen: string }): ReactNode {
  const tenantId = useTenantId();
  const { start, end, startMs, endMs } = useRange();
  const answer = useQuery({
    queryKey: ["metric", tenantId, "small", start, end, metric.name, metric.type, metric.unit, aggregation],
    queryFn: ({ signal }) => {
      const { name, type, unit } = metric;
      const step = Math.max(STEP_LEAST_S, Math.ceil((endMs - startMs) / 1000 / POINTS));
      const body = { queries: [{ name: "a", metric: name, type, unit, aggregation }], start, end, step, limit: 1 };
      return answered(api.POST("/api/v1/metrics/formulas", { body, signal }));
    },
  });
  const values = answer.data?.results[0]?.values[0];
  const { last } = figures(values ?? []);
  const unit = unitOf(aggregation, metric.type, metric.unit);
  return (
    <>
      <span role="gridcell" data-old={answer.isPlaceholderData}>
        {values && last !== undefined ? (
          <Sparkline values={values} label={`${aggregation} of ${plain(metric.name)}`} width={160} height={32} />
        ) : answer.data ? (
          <span className={table.faint}>{seen}</span>
        ) : answer.error ? (
          <span className={table.faint}>cannot be read now</span>
        ) : null}
      </span>
      <span role="gridcell" className={`${table.number} ${styles.latest}`}>
        {last === undefined ? null : (
          <>
            <b>{inUnit(last, unit)}</b>
            <span>{aggregation}</span>
          </>
        )}
      </span>
    </>
  );
}
