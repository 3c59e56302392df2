// Where the spans of a trace stand in a flame graph: time goes right, callees stand below their callers.

export interface FlameLayout {
  /** By position: the lane, counted from the top. */
  lane: Int32Array;
  lanes: number;
}

/** Spans beyond so many lanes share the last one. */
export const LANES_MAX = 500;

/** The lanes of spans that stand in the order of a waterfall: below the parent, and where no other span is at the time.
 * It does not recurse. */
export function flameLayout(
  parent: readonly number[],
  start: readonly number[],
  duration: readonly number[],
): FlameLayout {
  const total = parent.length;
  const lane = new Int32Array(total);
  // A child that begins before its parent waits for it.
  const turn = new Float64Array(total);
  for (let at = 0; at < total; at += 1) {
    const above = parent[at] ?? -1;
    turn[at] = Math.max(start[at] ?? 0, above < 0 ? 0 : (turn[above] ?? 0));
  }
  const order = Int32Array.from({ length: total }, (_, at) => at).sort(
    (a, b) => (turn[a] ?? 0) - (turn[b] ?? 0) || a - b,
  );
  const ends: number[] = [];
  for (const at of order) {
    const above = parent[at] ?? -1;
    const from = start[at] ?? 0;
    let place = above < 0 ? 0 : (lane[above] ?? 0) + 1;
    while (place < LANES_MAX - 1 && (ends[place] ?? Number.NEGATIVE_INFINITY) > from) place += 1;
    place = Math.min(place, LANES_MAX - 1);
    lane[at] = place;
    ends[place] = Math.max(ends[place] ?? 0, from + (duration[at] ?? 0));
  }
  return { lane, lanes: ends.length };
}
