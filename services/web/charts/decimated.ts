/** The steps at which a line must go through its values so that it looks the same in so many pixel columns: of each
 * column the first, lowest, highest and last value, and one step without a value where there is a gap. */
export function decimated(values: readonly (number | null)[], columns: number): number[] {
  const total = values.length;
  if (total <= columns * 4) return Array.from({ length: total }, (_, step) => step);
  const kept: number[] = [];
  for (let column = 0; column < columns; column += 1) {
    const end = Math.floor(((column + 1) * total) / columns);
    let [first, low, high, last, gap] = [-1, -1, -1, -1, -1];
    for (let step = Math.floor((column * total) / columns); step < end; step += 1) {
      const value = values[step] ?? null;
      if (value === null) {
        gap = step;
        continue;
      }
      if (first < 0) first = low = high = step;
      if (value < (values[low] ?? 0)) low = step;
      if (value > (values[high] ?? 0)) high = step;
      last = step;
    }
    const found = [first, low, high, last, gap].filter((step) => step >= 0).sort((a, b) => a - b);
    for (const step of found) if (kept.at(-1) !== step) kept.push(step);
  }
  return kept;
}
