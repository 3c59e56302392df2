/** The values between which lines are drawn: from zero, unless they are all far from it. */
export function extent(lines: readonly (readonly (number | null)[])[], more: readonly number[] = []): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const values of [...lines, more]) {
    for (const value of values) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [0, 1];
  if (low >= 0 && low < high * FAR) low = 0;
  if (high <= 0 && high > low * FAR) high = 0;
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, high * 1.25] : [low * 1.25, 0];
  const air = (high - low) * AIR;
  return [low === 0 ? 0 : low - air, high === 0 ? 0 : high + air];
}

const FAR = 0.8;
const AIR = 0.06;
