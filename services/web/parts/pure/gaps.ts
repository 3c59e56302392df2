// Long stretches of a trace in which nothing begins or ends, folded: places on the screen instead of nanoseconds.

export interface Gap {
  /** From when to when nothing happens, in nanoseconds from the start of the trace. */
  from: number;
  to: number;
}

export interface Scale {
  gaps: readonly Gap[];
  /** How long the trace is with its gaps folded. */
  length: number;
  /** The place of a moment, and the moment of a place. */
  place: (ns: number) => number;
  moment: (place: number) => number;
}

/** Folded is what takes more than this share of the trace. */
const SHARE = 0.2;
/** What a folded gap still takes, of all that is not folded. */
const KEPT = 0.03;
const GAPS_MAX = 8;

/** Where in a trace nothing begins or ends for long, and no span without children is at work: that may be the cause. */
export function longGaps(
  starts: readonly number[],
  durations: readonly number[],
  length: number,
  isLeaf: readonly boolean[],
): Gap[] {
  const moments = new Float64Array(starts.length * 2 + 2);
  moments[1] = length;
  for (let at = 0; at < starts.length; at += 1) {
    moments[at * 2 + 2] = starts[at] ?? 0;
    moments[at * 2 + 3] = (starts[at] ?? 0) + (durations[at] ?? 0);
  }
  moments.sort();
  const gaps: Gap[] = [];
  for (let at = 1; at < moments.length; at += 1) {
    const [from, to] = [moments[at - 1] ?? 0, moments[at] ?? 0];
    if (from >= 0 && to <= length && to - from > length * SHARE) gaps.push({ from, to });
  }
  // Of a trace of two moments, nothing would be left.
  if (starts.length < 3) return [];
  const isIdle = ({ from, to }: Gap): boolean =>
    !starts.some((start, at) => isLeaf[at] === true && start <= from && start + (durations[at] ?? 0) >= to);
  return gaps.filter(isIdle).slice(0, GAPS_MAX);
}

/** The scale of a trace of this length, with these gaps folded. */
export function scaleOf(length: number, gaps: readonly Gap[]): Scale {
  if (gaps.length === 0) return { gaps, length, place: (ns) => ns, moment: (place) => place };
  const folded = gaps.reduce((sum, { from, to }) => sum + to - from, 0);
  const kept = Math.max(1, (length - folded) * KEPT);
  return {
    gaps,
    length: length - folded + kept * gaps.length,
    place: (ns) => {
      let place = ns;
      for (const { from, to } of gaps) {
        if (ns >= to) place += kept - (to - from);
        else if (ns > from) place += ((ns - from) / (to - from)) * kept - (ns - from);
      }
      return place;
    },
    moment: (place) => {
      let ns = place;
      for (const { from, to } of gaps) {
        if (ns >= from + kept) ns += to - from - kept;
        else if (ns > from) ns = from + ((ns - from) / kept) * (to - from);
      }
      return ns;
    },
  };
}
