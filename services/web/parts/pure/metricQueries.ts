// What the metrics explorer asks, as its URL has it: up to six queries, and a formula over them.

/** One query; its name in formulas is its place: a, b, c. */
export interface MetricQuery {
  metric: string;
  /** "" for the one that fits the metric's type. */
  aggregation: string;
  /** Terms of the query language. */
  query: string;
  by: readonly string[];
  /** Whether the chart leaves it out: it is there for the formula. */
  isHidden: boolean;
}

export const QUERIES_MAX = 6;
const LABELS_MAX = 10;

/** By which formulas name the query at this place. */
export const queryName = (at: number): string => "abcdef"[at] ?? "a";

export const newQuery = (metric: string): MetricQuery => ({
  metric,
  aggregation: "",
  query: "",
  by: [],
  isHidden: false,
});

/** Queries as a text for the URL; what is as usual is left out. */
export const queriesText = (queries: readonly MetricQuery[]): string =>
  JSON.stringify(
    queries.map(({ metric, aggregation, query, by, isHidden }) => ({
      m: metric,
      ...(aggregation ? { a: aggregation } : {}),
      ...(query ? { q: query } : {}),
      ...(by.length > 0 ? { by } : {}),
      ...(isHidden ? { hide: 1 } : {}),
    })),
  );

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The queries of a text of the URL; what cannot be read is none. */
export function parsedQueries(said: string | undefined): MetricQuery[] {
  let all: unknown;
  try {
    all = JSON.parse(said ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(all)) return [];
  return all.slice(0, QUERIES_MAX).flatMap((one: unknown) => {
    if (typeof one !== "object" || one === null) return [];
    const { m, a, q, by, hide } = one as Record<string, unknown>;
    const labels = Array.isArray(by) ? by.filter((label) => typeof label === "string" && label !== "") : [];
    return [
      { metric: text(m), aggregation: text(a), query: text(q), by: labels.slice(0, LABELS_MAX), isHidden: hide === 1 },
    ];
  });
}

const PERCENTILES = ["p50", "p90", "p95", "p99"];
const OF_VALUES = ["avg", "min", "max", "sum", "count", "last"];
const AGGREGATIONS: Record<string, readonly string[]> = {
  gauge: [...OF_VALUES, ...PERCENTILES],
  counter: ["rate", "increase", ...OF_VALUES, ...PERCENTILES],
  histogram: [...PERCENTILES, "avg", "min", "max", "rate", "increase", "count", "sum"],
  exponential_histogram: [...PERCENTILES, "avg", "min", "max", "rate", "increase", "count", "sum"],
  summary: ["avg", "rate", "increase", "count", "sum", ...PERCENTILES],
};

/** What a metric of this type can be asked for, the best first. */
export const aggregations = (type: string): readonly string[] => AGGREGATIONS[type] ?? OF_VALUES;

/** What a metric is asked for unless somebody chooses. Of histograms that is no average: it hides what is slow. */
export function usualAggregation({ type, is_monotonic }: { type: string; is_monotonic: boolean }): string {
  if (type === "counter") return is_monotonic ? "rate" : "avg";
  return aggregations(type).includes("p95") && type.endsWith("histogram") ? "p95" : "avg";
}

/** The unit of what an aggregation answers, from that of the metric's values. */
export function unitOf(aggregation: string, type: string, unit: string): string {
  const isHistogram = type.endsWith("histogram") || type === "summary";
  if (aggregation === "count") return "";
  if (aggregation === "increase") return isHistogram ? "" : unit;
  if (aggregation === "rate") return isHistogram ? "/s" : `${unit === "1" ? "" : unit}/s`;
  return unit;
}

/** Whether values of an aggregation stand on the same axis as single measurements: exemplars. */
export const isOfValues = (aggregation: string, type: string): boolean =>
  type.endsWith("histogram") && (/^p\d/.test(aggregation) || ["avg", "min", "max"].includes(aggregation));

export interface Figures {
  last: number | undefined;
  avg: number | undefined;
  min: number | undefined;
  max: number | undefined;
}

/** What a legend says of a series. */
export function figures(values: readonly (number | null)[]): Figures {
  let [sum, count] = [0, 0];
  const found: Figures = { last: undefined, avg: undefined, min: undefined, max: undefined };
  for (const value of values) {
    if (value === null) continue;
    sum += value;
    count += 1;
    found.last = value;
    found.min = found.min === undefined ? value : Math.min(found.min, value);
    found.max = found.max === undefined ? value : Math.max(found.max, value);
  }
  if (count > 0) found.avg = sum / count;
  return found;
}
