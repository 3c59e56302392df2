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

/** The positions of a level that have something below them: collapsed, the tree ends at that level. */
export function ofLevel(tree: SpanTree, level: number): Set<number> {
  const found = new Set<number>();
  for (let at = 0; at < tree.size.length; at += 1) {
    if (tree.depth[at] === level && (tree.size[at] ?? 1) > 1) found.add(at);
  }
  return found;
}

/** How deep a tree is: 0 for roots alone. */
export function deepest(tree: SpanTree): number {
  let most = 0;
  for (const depth of tree.depth) if (depth > most) most = depth;
  return most;
}

/** 1 for the positions of a search's matches and for all that is above them. */
export function keptBy(tree: SpanTree, matches: ReadonlySet<number>): Uint8Array {
  const kept = new Uint8Array(tree.size.length);
  for (const match of matches) {
    for (let at = match; at >= 0 && kept[at] === 0; at = tree.parent[at] ?? -1) kept[at] = 1;
  }
  return kept;
}

export interface Siblings {
  /** How many stand behind the first of them, which is one. */
  readonly members: readonly number[];
  start: number;
  end: number;
  failed: number;
}

const ALIKE_MIN = 4;

/** Siblings of one sort, by the first of them, where there are many. Numbers alone: a text for each of a hundred thousand
 * spans is swept up while somebody scrolls. */
export function likeSiblings(
  tree: SpanTree,
  sorts: ArrayLike<number>,
  rows: readonly { start: number; duration: number; failed: boolean }[],
): Map<number, Siblings> {
  const total = tree.size.length;
  let most = 0;
  for (let at = 0; at < total; at += 1) most = Math.max(most, sorts[at] ?? 0);
  const keyOf = (at: number): number => ((tree.parent[at] ?? -1) + 1) * (most + 1) + (sorts[at] ?? 0);
  const counts = new Map<number, number>();
  for (let at = 0; at < total; at += 1) counts.set(keyOf(at), (counts.get(keyOf(at)) ?? 0) + 1);
  const byParent = new Map<number, number[]>();
  for (let at = 0; at < total; at += 1) {
    const key = keyOf(at);
    if ((counts.get(key) ?? 0) < ALIKE_MIN) continue;
    const members = byParent.get(key);
    if (members) members.push(at);
    else byParent.set(key, [at]);
  }
  const found = new Map<number, Siblings>();
  for (const members of byParent.values()) {
    let [start, end, failed] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
    for (const at of members) {
      const row = rows[at];
      if (!row) continue;
      start = Math.min(start, row.start);
      end = Math.max(end, row.start + row.duration);
      if (row.failed || tree.failedBelow[at] === 1) failed += 1;
    }
    found.set(members[0] ?? 0, { members, start, end, failed });
  }
  return found;
}

/** What folding leaves in sight, when these groups stand as one row each and only what is kept is shown. */
export function inSightOf(
  tree: SpanTree,
  collapsed: ReadonlySet<number>,
  groups: ReadonlyMap<number, Siblings>,
  kept: Uint8Array | undefined,
): Int32Array {
  if (groups.size === 0 && kept === undefined) return inSight(tree, collapsed);
  const total = tree.size.length;
  const hidden = new Uint8Array(total);
  for (const { members } of groups.values()) for (const at of members.slice(1)) hidden[at] = 1;
  const seen = new Int32Array(total);
  let count = 0;
  for (let at = 0; at < total; ) {
    const size = tree.size[at] ?? 1;
    if (hidden[at] === 1 || (kept !== undefined && kept[at] === 0)) {
      at += size;
      continue;
    }
    seen[count] = at;
    count += 1;
    at += collapsed.has(at) || groups.has(at) ? size : 1;
  }
  return seen.subarray(0, count);
}
