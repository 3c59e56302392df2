import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inSight, type SpanTree, spanTree } from "../parts/pure/spanTree";

/** A tree from numbers: each span is below one of the last span's ancestors, or below the last span itself. */
function tree(drawn: readonly number[], failed: ReadonlySet<number> = new Set()): SpanTree {
  const parent: number[] = [];
  const depth: number[] = [];
  const path: number[] = [];
  for (const [at, choice] of drawn.entries()) {
    path.length = Math.min(path.length, choice);
    parent.push(path.at(-1) ?? -1);
    depth.push(path.length);
    path.push(at);
  }
  return spanTree(parent, depth, (at) => failed.has(at));
}

describe("the tree of spans", () => {
  it("knows what is below, and whether it failed", () => {
    const made = tree([0, 1, 2, 1], new Set([2]));
    expect([...made.size]).toEqual([4, 2, 1, 1]);
    expect([...made.failedBelow]).toEqual([1, 1, 0, 0]);
  });
  it("hides what is below a collapsed span", () => {
    const made = tree([0, 1, 2, 1]);
    expect([...inSight(made, new Set([1]))]).toEqual([0, 1, 3]);
    expect([...inSight(made, new Set([0]))]).toEqual([0]);
    expect([...inSight(made, new Set())]).toEqual([0, 1, 2, 3]);
  });
  it("hides exactly what has a collapsed ancestor", () => {
    const any = fc.array(fc.nat(8), { maxLength: 60 });
    fc.assert(
      fc.property(any, fc.array(fc.nat(60)), (drawn, folded) => {
        const made = tree(drawn);
        const collapsed = new Set(folded);
        const visible = drawn
          .map((_, at) => at)
          .filter((at) => {
            for (let up = made.parent[at] ?? -1; up >= 0; up = made.parent[up] ?? -1)
              if (collapsed.has(up)) return false;
            return true;
          });
        expect([...inSight(made, collapsed)]).toEqual(visible);
      }),
    );
  });
  it("takes a chain of 100,000 spans", () => {
    const made = tree(Array.from({ length: 100_000 }, (_, at) => at));
    expect(made.depth.at(-1)).toBe(99_999);
    expect(made.size[0]).toBe(100_000);
  });
});
