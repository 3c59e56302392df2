// The tree of a trace's spans, without recursion: a trace may be as deep as it is long.

export interface TreeSpan {
  id: string;
  parentId: string | null;
  /** Offset to the start of the trace, and duration, in nanoseconds. */
  start: number;
  duration: number;
  failed: boolean;
}

export interface SpanTree {
  /** Indices of spans, parents before their children, siblings by their start. */
  order: Int32Array;
  /** By position in `order`: how deep, and how many positions the span and all below it take. */
  depth: Int32Array;
  size: Int32Array;
  /** By position: whether the span names a parent that is not in the trace. */
  orphan: Uint8Array;
  /** By position: whether something below it failed. */
  failedBelow: Uint8Array;
}

/** Lays out the spans. Those whose parent is missing, or is one of their own children, stand at the top. */
export function spanTree(spans: readonly TreeSpan[]): SpanTree {
  const count = spans.length;
  const byId = new Map<string, number>();
  for (const [index, span] of spans.entries()) if (!byId.has(span.id)) byId.set(span.id, index);
  const byStart = Array.from({ length: count }, (_, index) => index).sort(
    (a, b) => (spans[a]?.start ?? 0) - (spans[b]?.start ?? 0) || a - b,
  );
  const firstChild = new Int32Array(count).fill(-1);
  const nextSibling = new Int32Array(count).fill(-1);
  const parentOf = new Int32Array(count).fill(-1);
  const roots: number[] = [];
  for (const index of byStart) {
    const span = spans[index];
    const parent = span?.parentId ? (byId.get(span.parentId) ?? -1) : -1;
    if (parent >= 0 && parent !== index) parentOf[index] = parent;
    else roots.push(index);
  }
  // Backwards, so that each list of children begins with the earliest.
  for (let at = count - 1; at >= 0; at -= 1) {
    const index = byStart[at] ?? 0;
    const parent = parentOf[index] ?? -1;
    if (parent >= 0) {
      nextSibling[index] = firstChild[parent] ?? -1;
      firstChild[parent] = index;
    }
  }
  const order = new Int32Array(count);
  const depth = new Int32Array(count);
  const size = new Int32Array(count).fill(1);
  const orphan = new Uint8Array(count);
  const failedBelow = new Uint8Array(count);
  const position = new Int32Array(count).fill(-1);
  let placed = 0;

  function place(root: number): void {
    const stack: number[] = [root];
    const depths: number[] = [0];
    while (stack.length > 0) {
      const index = stack.pop() ?? 0;
      const level = depths.pop() ?? 0;
      if ((position[index] ?? 0) >= 0) continue;
      position[index] = placed;
      order[placed] = index;
      depth[placed] = level;
      placed += 1;
      const children: number[] = [];
      for (let child = firstChild[index] ?? -1; child >= 0; child = nextSibling[child] ?? -1) children.push(child);
      for (let at = children.length - 1; at >= 0; at -= 1) {
        stack.push(children[at] ?? 0);
        depths.push(level + 1);
      }
    }
  }

  for (const root of roots) {
    if (spans[root]?.parentId) orphan[placed] = 1;
    place(root);
  }
  // What is left are circles: each begins with its earliest span.
  for (const index of byStart) {
    if ((position[index] ?? 0) >= 0) continue;
    orphan[placed] = 1;
    place(index);
  }
  // From the end, each span adds itself to whoever is above it.
  const above: number[] = [];
  const parentAt = new Int32Array(count).fill(-1);
  for (let at = 0; at < count; at += 1) {
    while (above.length > 0 && (depth[above.at(-1) ?? 0] ?? 0) >= (depth[at] ?? 0)) above.pop();
    parentAt[at] = above.at(-1) ?? -1;
    above.push(at);
  }
  for (let at = count - 1; at >= 0; at -= 1) {
    const parent = parentAt[at] ?? -1;
    if (parent < 0) continue;
    size[parent] = (size[parent] ?? 0) + (size[at] ?? 0);
    if (spans[order[at] ?? 0]?.failed || failedBelow[at]) failedBelow[parent] = 1;
  }
  return { order, depth, size, orphan, failedBelow };
}

/** The positions that are in sight when everything below the collapsed ones is hidden. */
export function inSight(tree: SpanTree, collapsed: ReadonlySet<number>): Int32Array {
  const seen = new Int32Array(tree.order.length);
  let count = 0;
  for (let at = 0; at < tree.order.length; ) {
    seen[count] = at;
    count += 1;
    at += collapsed.has(at) ? (tree.size[at] ?? 1) : 1;
  }
  return seen.subarray(0, count);
}

/** The position of the parent; -1 for a span at the top. */
export function parentPosition(tree: SpanTree, at: number): number {
  const mine = tree.depth[at] ?? 0;
  for (let before = at - 1; before >= 0; before -= 1) if ((tree.depth[before] ?? 0) < mine) return before;
  return -1;
}
