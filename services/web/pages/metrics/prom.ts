// What the PromQL API answers for an expression over a range.
import { api } from "../../api/client";
import { ApiError } from "../../api/errors";
import { type Drawn, labelText, type MetricLine } from "./series";

interface Matrix {
  resultType: string;
  result: readonly { metric: Record<string, string>; values?: readonly [number, string][] }[];
}

const LINES_MAX = 100;
const STEPS = 240;

/** The step that makes about as many points as a chart shows, in whole seconds. */
const stepOf = (startMs: number, endMs: number): number =>
  Math.max(1, Math.ceil((endMs - startMs) / 1000 / STEPS / 5) * 5);

/** Evaluates an expression. Raises an ApiError with the words of the evaluator. */
export async function evaluated(query: string, startMs: number, endMs: number, signal: AbortSignal): Promise<Drawn> {
  const step = stepOf(startMs, endMs);
  const start = Math.floor(startMs / 1000 / step) * step;
  const end = Math.floor(endMs / 1000 / step) * step;
  const body = { query, start: String(start), end: String(end), step: String(step) };
  const params = { query: body };
  const { data, error, response } = await api.GET("/api/v1/prom/api/v1/query_range", { params, signal });
  if (!data) {
    const detail = (error as { error?: string } | undefined)?.error;
    throw new ApiError(
      { code: "promql", ...(detail ? { detail } : {}) },
      response.status,
      response.headers.get("retry-after"),
    );
  }
  const { result } = data.data as Matrix;
  const steps = Math.round((end - start) / step) + 1;
  const lines = result.slice(0, LINES_MAX).map(({ metric, values = [] }, at): MetricLine => {
    const { __name__: name = "", ...labels } = metric;
    const text = labelText(labels);
    const filled = Array.from<number | null>({ length: steps }).fill(null);
    for (const [seconds, value] of values) {
      const parsed = Number(value);
      if (Number.isFinite(parsed)) filled[Math.round((seconds - start) / step)] = parsed;
    }
    return {
      key: `${name} ${text}`,
      label: text === "" ? name || "value" : name ? `${name} ${text}` : text,
      colour: at,
      values: filled,
      unit: "",
      labels,
      of: name,
    };
  });
  return {
    startMs: start * 1000,
    stepMs: step * 1000,
    steps,
    lines,
    omitted: result.length - lines.length,
    warnings: [...(data.warnings ?? []), ...(data.infos ?? [])],
  };
}
