import fc from "fast-check";
import { expect, test } from "vitest";
import { drawnGraph, edgeWidth, failures, NODES_MAX } from "../parts/pure/serviceGraph";

const edge = (caller: string, callee: string, calls = 1, errors = 0) => ({
  caller,
  callee,
  call_count: calls,
  error_count: errors,
});
const few = [edge("web", "cart", 9), edge("web", "pay", 5, 2), edge("cart", "db", 20), edge("pay", "db", 3)];
const names = ["web", "cart", "pay", "db"];

test("a small map is whole, and the neighbours of a node are those and what is between them", () => {
  expect(drawnGraph(names, few, "pay", false)).toEqual({ nodes: names, edges: few, around: undefined });
  const { nodes, edges, around } = drawnGraph(names, few, "pay", true);
  expect([nodes, around]).toEqual([["web", "pay", "db"], "pay"]);
  expect(edges.map((one) => `${one.caller} ${one.callee}`)).toEqual(["web pay", "pay db"]);
  expect(drawnGraph(names, few, "gone", true).nodes).toEqual(names);
});

test("of a large map only neighbours are drawn at once, of the node where most failed", () => {
  const many = Array.from({ length: 200 }, (_, at) => `s${at}`);
  const edges = many.slice(1).map((name, at) => edge(many[Math.floor(at / 3)] ?? "", name, 10, name === "s50" ? 4 : 0));
  const { nodes, around } = drawnGraph(many, edges, undefined, false);
  expect(around).toBe("s50");
  expect(nodes).toContain("s16");
  expect(nodes.length).toBeLessThanOrEqual(NODES_MAX);
  const hub = many.slice(1).map((name, at) => edge("s0", name, at + 1));
  expect(drawnGraph(many, hub, "s0", true).nodes).toHaveLength(NODES_MAX);
});

test("a node is as red as calls into it failed, and a line as wide as there are calls", () => {
  expect(failures(few).get("pay")).toEqual({ calls: 5, errors: 2 });
  expect(failures(few).get("db")).toEqual({ calls: 23, errors: 0 });
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), (a, b) => {
      const most = Math.max(a, b);
      expect(edgeWidth(a, most) <= edgeWidth(b, most)).toBe(a <= b || edgeWidth(a, most) === edgeWidth(b, most));
      expect(edgeWidth(most, most)).toBeLessThanOrEqual(8);
    }),
  );
});
