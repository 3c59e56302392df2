// What folding needs to know of a tree of spans that stand in the order of a waterfall: parents before their children.

export interface SpanTree {
  /** By position: how deep, where the parent is (-1 for none), and how many positions the span and all below it take. */
  depth: readonly number[];
  parent: readonly number[];
  size: Int32Array;
  /** By position: whether something below it failed. */
  failedBelow: Uint8Array;
}

/** The tree of these columns. Neither this nor anything else here recurses: a trace may be as deep as it is long. */
export function spanTree(
  parent: readonly number[],
  depth: readonly number[],
  failed: (at: number) => boolean,
): SpanTree {
  const size = new Int32Array(parent.length).fill(1);
  const failedBelow = new Uint8Array(parent.length);
  for (let at = parent.length - 1; at >= 0; at -= 1) {
    const above = parent[at] ?? -1;
    if (above < 0) continue;
    size[above] = (size[above] ?? 1) + (size[at] ?? 1);
    if (failed(at) || failedBelow[at] === 1) failedBelow[above] = 1;
  }
  return { depth, parent, size, failedBelow };
}

/** The positions that are in sight when everything below the collapsed ones is hidden. */
export function inSight(tree: SpanTree, collapsed: ReadonlySet<number>): Int32Array {
  const total = tree.size.length;
  const seen = new Int32Array(total);
  let count = 0;
  for (let at = 0; at < total; ) {
    seen[count] = at;
    count += 1;
    at += collapsed.has(at) ? (tree.size[at] ?? 1) : 1;
  }
  return seen.subarray(0, count);
}
