// Where the nodes and lines of a map are: layers from callers to callees. A chunk of its own, since few pages need it.
import { Graph, layout } from "@dagrejs/dagre";
import type { GraphEdge } from "../../parts/pure/serviceGraph";

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 40;
const GAP = 24;
const LAYER_GAP = 88;
const MARGIN = 16;

export interface Placed {
  width: number;
  height: number;
  nodes: ReadonlyMap<string, { x: number; y: number }>;
  /** The points of the line of each edge, by its place. */
  lines: readonly (readonly { x: number; y: number }[])[];
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
  return {
    width,
    height,
    nodes: new Map(nodes.map((node) => [node, graph.node(node) as { x: number; y: number }])),
    lines: edges.map(
      ({ caller, callee }, at) =>
        (graph.edge(caller, callee, String(at)) as { points: { x: number; y: number }[] }).points,
    ),
  };
}
