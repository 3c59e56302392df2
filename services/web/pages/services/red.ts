// The requests, errors and durations of a service as lines, one value a step, from an answer without empty steps.
import type { ServiceFigures } from "../../api/schema";

export interface Red {
  startMs: number;
  stepMs: number;
  steps: number;
  /** Requests of each step, and those that failed. */
  counts: readonly number[];
  errors: readonly number[];
  /** Of each second; null for a step that is not over, since it would seem to fall. */
  rates: readonly (number | null)[];
  shares: readonly (number | null)[];
  p50: readonly (number | null)[];
  p95: readonly (number | null)[];
  p99: readonly (number | null)[];
}

/** The figures of all steps; `nowMs` ends them: of what is still to come nothing is known. */
export function red(figures: ServiceFigures, nowMs: number): Red {
  const startMs = Date.parse(figures.start);
  const stepMs = figures.step_s * 1000;
  const endMs = Math.min(Date.parse(figures.end), Math.ceil(nowMs / stepMs) * stepMs);
  const steps = Math.max(1, Math.round((endMs - startMs) / stepMs));
  const counts = new Array<number>(steps).fill(0);
  const errors = new Array<number>(steps).fill(0);
  const shares = new Array<number | null>(steps).fill(null);
  const [p50, p95, p99] = [[...shares], [...shares], [...shares]];
  for (const point of figures.points) {
    const at = Math.round((Date.parse(point.time) - startMs) / stepMs);
    if (at < 0 || at >= steps) continue;
    counts[at] = point.count;
    errors[at] = point.error_count;
    shares[at] = point.count === 0 ? null : point.error_count / point.count;
    p50[at] = point.duration_p50_ns;
    p95[at] = point.duration_p95_ns;
    p99[at] = point.duration_p99_ns;
  }
  const isOver = startMs + steps * stepMs <= Math.min(Date.parse(figures.end), nowMs);
  const rates = counts.map((one, at) => (at < steps - 1 || isOver || steps < 2 ? one / figures.step_s : null));
  return { startMs, stepMs, steps, counts, errors, rates, shares, p50, p95, p99 };
}
