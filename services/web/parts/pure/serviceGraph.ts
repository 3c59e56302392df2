// What of a service map is shown: all of it, or the neighbours of one node, and how wide and how red.

export interface GraphEdge {
  caller: string;
  callee: string;
  call_count: number;
  error_count: number;
}

/** Above so many nodes a map is a tangle: then only the neighbours of one are drawn. */
export const NODES_MAX = 60;

export interface Graph<E extends GraphEdge> {
  nodes: readonly string[];
  edges: readonly E[];
  /** The node whose neighbours alone are shown; undefined if all are. */
  around: string | undefined;
}

/** The part of a map that is drawn: around the chosen node, or around the worst one where there are too many. */
export function drawnGraph<E extends GraphEdge>(
  nodes: readonly string[],
  edges: readonly E[],
  chosen: string | undefined,
  isAlone: boolean,
): Graph<E> {
  const isKnown = chosen !== undefined && nodes.includes(chosen);
  const isLarge = nodes.length > NODES_MAX;
  if (!isLarge && !(isAlone && isKnown)) return { nodes, edges, around: undefined };
  const around = isKnown ? chosen : worst(nodes, edges);
  if (around === undefined) return { nodes: [], edges: [], around };
  const touching = edges.filter(({ caller, callee }) => caller === around || callee === around);
  // Of a hub with hundreds of neighbours, the busiest.
  const shown = touching.toSorted((a, b) => b.call_count - a.call_count).slice(0, NODES_MAX - 1);
  const near = new Set([around, ...shown.flatMap(({ caller, callee }) => [caller, callee])]);
  const between = isLarge
    ? []
    : edges.filter((one) => !touching.includes(one) && near.has(one.caller) && near.has(one.callee));
  return { nodes: nodes.filter((node) => near.has(node)), edges: [...shown, ...between], around };
}

/** The node into which most calls failed, or that is called most. */
function worst(nodes: readonly string[], edges: readonly GraphEdge[]): string | undefined {
  const sums = failures(edges);
  return nodes.toSorted((a, b) => {
    const [x, y] = [sums.get(a), sums.get(b)];
    return (y?.errors ?? 0) - (x?.errors ?? 0) || (y?.calls ?? 0) - (x?.calls ?? 0) || a.localeCompare(b);
  })[0];
}

/** The calls into each node, and how many of them failed. */
export function failures(edges: readonly GraphEdge[]): Map<string, { calls: number; errors: number }> {
  const sums = new Map<string, { calls: number; errors: number }>();
  for (const { callee, call_count: calls, error_count: errors } of edges) {
    const sum = sums.get(callee) ?? { calls: 0, errors: 0 };
    sums.set(callee, { calls: sum.calls + calls, errors: sum.errors + errors });
  }
  return sums;
}

const THIN = 1;
const WIDE = 8;

/** How wide the line of so many calls is among others: by the logarithm, since rates differ by thousands. */
export function edgeWidth(calls: number, most: number): number {
  if (calls <= 0 || most <= 1) return THIN;
  return THIN + (WIDE - THIN) * (Math.log1p(calls) / Math.log1p(Math.max(most, calls)));
}
