import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import { ApiError, asApiError, inWords } from "../../api/errors";
import type { Metric } from "../../api/schema";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { Tabs } from "../../parts/lists/Tabs";
import { pageStyles } from "../../parts/Page";
import {
  isOfValues,
  type MetricQuery,
  newQuery,
  QUERIES_MAX,
  queriesText,
  queryName,
  usualAggregation,
} from "../../parts/pure/metricQueries";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import { Breakdown } from "./Breakdown";
import { Chart } from "./Chart";
import { Distribution } from "./Distribution";
import { ExemplarTable, useExemplars } from "./Exemplars";
import styles from "./Metrics.module.css";
import { QueryRow } from "./QueryRow";
import { drawn } from "./series";
import { useMetrics } from "./useMetrics";

const SERIES_MAX = 50;

type View = "series" | "heatmap" | "labels" | "exemplars";
const TABS: readonly (readonly [View, string])[] = [
  ["series", "Series"],
  ["heatmap", "Heatmap"],
  ["labels", "Break down"],
  ["exemplars", "Exemplars"],
];

/** Up to six queries and a formula over them, as lines, by each label, and with the traces behind them. */
export function Explorer({ queries }: { queries: readonly MetricQuery[] }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { formula = "", view } = usePlace();
  const setPlace = useSetPlace();
  const metrics = useMetrics();
  const byName = useMemo(() => new Map((metrics.data?.items ?? []).map((one) => [one.name, one])), [metrics.data]);
  const change = (next: readonly MetricQuery[]): void => setPlace({ m: queriesText(next), open: undefined });
  const asked = queries.flatMap((query, at) =>
    query.metric === "" ? [] : [{ ...toAsk(query, byName.get(query.metric)), name: queryName(at) }],
  );
  const answer = useQuery({
    queryKey: ["metric", tenantId, "explore", range.start, range.end, asked, formula],
    queryFn: ({ signal }) => {
      const body = {
        ...{ queries: asked, formulas: formula === "" ? [] : [formula], start: range.start, end: range.end },
        ...{ limit: SERIES_MAX, top_by: "max" as const },
      };
      return answered(api.POST("/api/v1/metrics/formulas", { body, signal }));
    },
    // Which aggregation is usual, the catalogue knows.
    enabled: asked.length > 0 && !metrics.isPending,
  });
  const hidden = queries.flatMap((query, at) => (query.isHidden ? [queryName(at)] : [])).join(" ");
  const shown = useMemo(
    () => answer.data && drawn(answer.data, (name) => !hidden.split(" ").includes(name)),
    [answer.data, hidden],
  );
  const error = answer.error instanceof ApiError ? answer.error : undefined;
  const isFormulaWrong =
    error?.code === "invalid-formula" || (formula !== "" && error?.message.startsWith("`formulas`"));
  const isQueryWrong = error?.code === "invalid-query" && asked.length === 1;
  const named = queries.filter((query) => query.metric !== "");
  const first = named.find((query) => !query.isHidden) ?? named[0];
  const metric = first && byName.get(first.metric);
  const aggregation = first && metric ? first.aggregation || usualAggregation(metric) : "";
  const isHistogram = metric?.type.endsWith("histogram") ?? false;
  const tabs = TABS.filter(([key]) => key !== "heatmap" || isHistogram);
  const tab = tabs.find(([key]) => key === view)?.[0] ?? "series";
  const hasDots = metric !== undefined && isOfValues(aggregation, metric.type);
  const exemplars = useExemplars(first?.metric ?? "", hasDots || tab === "exemplars" || tab === "heatmap");
  const isAlone = named.length === 1 && formula === "";
  return (
    <div className={pageStyles.scroll}>
      <div className={styles.ask}>
        {queries.map((query, at) => (
          <QueryRow
            // biome-ignore lint/suspicious/noArrayIndexKey: the place of a query is its name
            key={at}
            name={queryName(at)}
            query={query}
            metric={byName.get(query.metric)}
            names={metrics.data?.items.map((one) => one.name) ?? []}
            error={isQueryWrong && query.metric !== "" ? error : undefined}
            onChange={(next) => change(queries.with(at, next))}
            {...(queries.length > 1 ? { onRemove: () => change(queries.toSpliced(at, 1)) } : {})}
          />
        ))}
        <Formula key={formula} formula={formula} error={isFormulaWrong ? error : undefined}>
          <Button
            small
            disabled={queries.length >= QUERIES_MAX}
            title={queries.length >= QUERIES_MAX ? "Six queries at most" : "Another query"}
            onClick={() => change([...queries, newQuery("")])}
          >
            + Query
          </Button>
        </Formula>
      </div>
      {metrics.error || (error && !isFormulaWrong && !isQueryWrong) ? (
        <div className={pageStyles.note}>
          <ErrorNote error={metrics.error ?? error} retry={() => void (metrics.error ? metrics : answer).refetch()} />
        </div>
      ) : null}
      {first === undefined ? (
        <Empty title="Choose a metric">Its name goes into the first field; the catalogue lists all of them.</Empty>
      ) : answer.isPending && !error ? (
        <Skeleton />
      ) : shown ? (
        <Chart
          drawn={shown}
          isOld={answer.isPlaceholderData || error !== undefined}
          label={isAlone ? `${aggregation} of ${first.metric}` : "Queries"}
          what={isAlone ? "This metric, or what the query leaves of it," : "What is asked"}
          dots={isAlone && hasDots ? exemplars.dots : []}
          hasLegend={tab === "series"}
        >
          <div className={styles.tabs}>
            <Tabs
              label="Below the chart"
              tabs={tabs}
              chosen={tab}
              onChoose={(key) => setPlace({ view: key === "series" ? undefined : key }, { replace: true })}
            />
          </div>
        </Chart>
      ) : null}
      {first && metric && tab === "heatmap" && !isQueryWrong ? (
        <Distribution query={first} type={metric.type} dots={exemplars.dots} />
      ) : null}
      {first && tab === "labels" ? (
        <Breakdown
          query={first}
          asked={toAsk(first, metric)}
          onBy={(label) => change(queries.map((one) => (one === first ? { ...one, by: [label] } : one)))}
        />
      ) : null}
      {first && tab === "exemplars" ? (
        <ExemplarTable found={exemplars} metric={first.metric} unit={metric?.unit ?? ""} />
      ) : null}
    </div>
  );
}

/** A query as the API takes it. */
function toAsk({ metric, aggregation, query, by }: MetricQuery, known: Metric | undefined) {
  const chosen = aggregation || (known ? usualAggregation(known) : "");
  return { metric, query, group_by: [...by], ...(chosen ? { aggregation: chosen } : {}) };
}

/** The line of the formula. */
function Formula(props: { formula: string; error: ApiError | undefined; children: ReactNode }): ReactNode {
  const { formula, error, children } = props;
  const setPlace = useSetPlace();
  const [draft, setDraft] = useState(formula);
  const run = (): void => {
    if (draft.trim() !== formula) setPlace({ formula: draft.trim() || undefined });
  };
  const isWrong = error !== undefined && draft.trim() === formula;
  return (
    <div>
      <div className={styles.tools}>
        {children}
        <label className={styles.formula}>
          <span>Formula</span>
          <input
            className={`${controls.input} ${styles.mono}`}
            placeholder="100 * a / b"
            title="PromQL over the queries, by their letters"
            spellCheck={false}
            aria-invalid={isWrong}
            aria-describedby={isWrong ? "formula-mistake" : undefined}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") run();
              if (event.key === "Escape") event.currentTarget.blur();
            }}
            onBlur={run}
          />
        </label>
      </div>
      {isWrong ? (
        <p id="formula-mistake" className={styles.mistake} role="alert">
          {inWords(asApiError(error))}
        </p>
      ) : null}
    </div>
  );
}
