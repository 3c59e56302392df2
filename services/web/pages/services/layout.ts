// Where the nodes and lines of a map are: layers from callers to callees. A chunk of its own, since few pages need it.
import { Graph, layout } from "@dagrejs/dagre";
import type { GraphEdge } from "../../parts/pure/serviceGraph";

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 40;
const GAP = 24;
const LAYER_GAP = 88;
const MARGIN = 16;

interface Point {
  x: number;
  y: number;
}

export interface Placed {
  width: number;
  height: number;
  nodes: ReadonlyMap<string, Point>;
  /** The points of the line of each edge, by its place. */
  lines: readonly (readonly Point[])[];
}

/** Places nodes in layers, from left to right. */
export function placed(nodes: readonly string[], edges: readonly GraphEdge[]): Placed {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: GAP, ranksep: LAYER_GAP, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const [at, { caller, callee }] of edges.entries()) graph.setEdge(caller, callee, {}, String(at));
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const places = new Map(nodes.map((node) => [node, graph.node(node) as Point]));
  const layers = [...new Set([...places.values()].map(({ x }) => Math.round(x)))];
  return {
    width,
    height,
    nodes: places,
    lines: edges.map(({ caller, callee }, at) => {
      const { points } = graph.edge(caller, callee, String(at)) as { points: Point[] };
      const [from, to] = [places.get(caller), places.get(callee)];
      return from && to && caller !== callee ? between(from, to, points, layers) : points;
    }),
  };
}

/** A line from the side of one card to that of another. Where it passes a layer it is level, in the room that the layout
 * has left there for it; it bends between layers only, and so runs behind no card. */
function between(from: Point, to: Point, points: readonly Point[], layers: readonly number[]): Point[] {
  const forth = from.x <= to.x ? 1 : -1;
  const half = (forth * NODE_WIDTH) / 2;
  const passed = points.slice(1, -1).filter(({ x }) => {
    const isBetween = forth * (x - from.x) > NODE_WIDTH / 2 && forth * (to.x - x) > NODE_WIDTH / 2;
    return isBetween && layers.some((layer) => Math.abs(layer - x) <= 1);
  });
  return [
    { x: from.x + half, y: from.y },
    ...passed.flatMap(({ x, y }) => [
      { x: x - half, y },
      { x: x + half, y },
    ]),
    { x: to.x - half, y: to.y },
  ];
}
