import { decimated } from "./decimated";

/** The steps through which a line goes in so many pixel columns, each stroke of it by itself. Where values come less
 * often than there are steps, as of what is measured every minute in a chart by the quarter of one, the steps between two
 * of them are no gap. */
export function strokes(values: readonly (number | null)[], columns: number): number[][] {
  const steps = decimated(values, columns);
  const isWhole = steps.length === values.length;
  const reach = isWhole ? reachOf(values) : Number.POSITIVE_INFINITY;
  const found: number[][] = [];
  let isGap = true;
  let last = Number.NEGATIVE_INFINITY;
  for (const step of steps) {
    if ((values[step] ?? null) === null) {
      // Of many values each gap is one step without a value; of few, how long it is tells.
      if (!isWhole) isGap = true;
      continue;
    }
    if (isGap || step - last > reach) found.push([]);
    found.at(-1)?.push(step);
    isGap = false;
    last = step;
  }
  return found;
}

const MORE = 1.5;

/** How many steps after a value the next one may come without a gap between them. */
function reachOf(values: readonly (number | null)[]): number {
  const apart: number[] = [];
  let last = -1;
  for (const [step, value] of values.entries()) {
    if (value === null) continue;
    if (last >= 0) apart.push(step - last);
    last = step;
  }
  if (apart.length === 0) return 1;
  const usual = apart.sort((a, b) => a - b)[Math.floor((apart.length - 1) / 2)] ?? 1;
  return usual === 1 ? 1 : Math.ceil(usual * MORE);
}
