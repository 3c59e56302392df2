// Cells of a heatmap of durations: rows by quarters of a doubling, as the API counts them.

const ROWS_PER_DOUBLING = 4;

/** The row of a cell whose durations begin here. */
export const rowOf = (ns: number): number => Math.round(Math.log2(Math.max(ns, 1)) * ROWS_PER_DOUBLING);

/** Where the durations of a row begin, in nanoseconds. */
export const rowStart = (row: number): number => 2 ** (row / ROWS_PER_DOUBLING);

/** A part of a heatmap: a range of time and one of durations. */
export interface HeatBox {
  startMs: number;
  endMs: number;
  minNs: number;
  maxNs: number;
}

/** A box as the URL has it. */
export const boxText = ({ startMs, endMs, minNs, maxNs }: HeatBox): string =>
  [startMs, endMs, minNs, maxNs].map(Math.round).join("-");

/** The box that a text of the URL means; undefined if it means none. */
export function parsedBox(text: string | undefined): HeatBox | undefined {
  const found = /^(\d{1,16})-(\d{1,16})-(\d{1,18})-(\d{1,18})$/.exec(text ?? "");
  if (!found) return undefined;
  const [startMs = 0, endMs = 0, minNs = 0, maxNs = 0] = found.slice(1).map(Number);
  return startMs < endMs && minNs < maxNs ? { startMs, endMs, minNs, maxNs } : undefined;
}

const UNITS: readonly (readonly [number, string])[] = [
  [1_000_000_000, "s"],
  [1_000_000, "ms"],
  [1_000, "us"],
  [1, "ns"],
];

/** A duration as a query writes it, to three digits: down or up, so that a range of two has all that is in it. */
export function durationWords(ns: number, round: "down" | "up"): string {
  const [unit, name] = UNITS.find(([least]) => ns >= least) ?? [1, "ns"];
  const value = ns / unit;
  const scale = 10 ** Math.max(0, unit === 1 ? 0 : 2 - Math.floor(Math.log10(Math.max(value, 1))));
  const whole = round === "down" ? Math.floor(value * scale) : Math.ceil(value * scale);
  return `${whole / scale}${name}`;
}

/** The term that finds spans with the durations of a box. */
export const durationTerm = ({ minNs, maxNs }: HeatBox): string =>
  `duration:(>=${durationWords(minNs, "down")} <${durationWords(maxNs, "up")})`;

/** From which row on a share of all items lies, counted from the slowest. */
export function slowRow(rows: readonly number[], counts: readonly number[], share: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const byRow = new Map<number, number>();
  for (const [at, row] of rows.entries()) byRow.set(row, (byRow.get(row) ?? 0) + (counts[at] ?? 0));
  let seen = 0;
  let found: number | undefined;
  for (const [row, count] of [...byRow].sort(([a], [b]) => b - a)) {
    // All of them have nothing to be compared with.
    if (found !== undefined && (seen + count > all / 2 || seen >= all * share)) break;
    seen += count;
    found = row;
  }
  return seen < all ? found : undefined;
}
