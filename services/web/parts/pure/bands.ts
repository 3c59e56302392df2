// Bands of values of histograms, as the API counts them: each from a bound to the next, the first or last without one.
import { inUnit } from "./units";

/** A bound; null for none. */
export type Bound = number | null;

export interface Band {
  lower: Bound;
  upper: Bound;
  /** Observations in it. */
  count: number;
}

/** The columns of an answer about buckets of a histogram. */
interface Columns {
  lower: readonly Bound[];
  upper: readonly Bound[];
  bands: readonly number[];
  counts: readonly number[];
}

/** The bands, the lowest first, with what was observed in all steps together. */
export function bandsOf({ lower, upper, bands, counts }: Columns): Band[] {
  const sums = lower.map(() => 0);
  for (const [at, band] of bands.entries()) sums[band] = (sums[band] ?? 0) + (counts[at] ?? 0);
  return lower.map((from, at) => ({ lower: from, upper: upper[at] ?? null, count: sums[at] ?? 0 }));
}

/** A band in words: "100 ms – 250 ms", "up to 5 ms", "above 10 s". */
export function bandText({ lower, upper }: Pick<Band, "lower" | "upper">, unit: string): string {
  if (lower === null) return upper === null ? "any value" : `up to ${inUnit(upper, unit)}`;
  if (upper === null) return `above ${inUnit(lower, unit)}`;
  return lower === upper ? inUnit(lower, unit) : `${inUnit(lower, unit)} – ${inUnit(upper, unit)}`;
}

/** Bounds to be written at an axis on which all bands are of one height: at most `wanted`, with their share of it. */
export function boundsShown(bands: readonly Band[], wanted: number): { share: number; value: number }[] {
  const every = Math.max(1, Math.ceil(bands.length / wanted));
  const found: { share: number; value: number }[] = [];
  for (let at = 0; at <= bands.length; at += 1) {
    const value = bands[at]?.lower ?? bands[at - 1]?.upper ?? null;
    if (value !== null && at % every === 0) found.push({ share: at / bands.length, value });
  }
  return found;
}

/** How high a value stands on that axis, from 0 to 1; undefined if it is in no band. */
export function shareOf(bands: readonly Band[], value: number): number | undefined {
  const at = bands.findIndex(({ lower, upper }) => (lower ?? value - 1) <= value && value <= (upper ?? value));
  const band = bands[at];
  if (!band) return undefined;
  const { lower, upper } = band;
  const within = lower === null || upper === null || lower === upper ? 0.5 : (value - lower) / (upper - lower);
  return (at + within) / bands.length;
}
