import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  deepest,
  inSight,
  inSightOf,
  keptBy,
  likeSiblings,
  ofLevel,
  type SpanTree,
  spanTree,
} from "../parts/pure/spanTree";

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
  it("ends at a level", () => {
    const made = tree([0, 1, 2, 3, 1]);
    expect(deepest(made)).toBe(3);
    expect([...inSight(made, ofLevel(made, 1))]).toEqual([0, 1, 4]);
    expect([...inSight(made, ofLevel(made, 0))]).toEqual([0]);
  });
  it("shows what was found with all that is above it", () => {
    const made = tree([0, 1, 2, 1, 2, 1]);
    expect([...inSightOf(made, new Set(), new Map(), keptBy(made, new Set([4])))]).toEqual([0, 3, 4]);
    fc.assert(
      fc.property(fc.array(fc.nat(8), { minLength: 1, maxLength: 60 }), fc.array(fc.nat(59)), (drawn, found) => {
        const any = tree(drawn);
        const matches = new Set(found.filter((at) => at < drawn.length));
        const seen = [...inSightOf(any, new Set(), new Map(), keptBy(any, matches))];
        for (const match of matches) expect(seen).toContain(match);
        for (const at of seen) expect((any.parent[at] ?? -1) < 0 || seen.includes(any.parent[at] ?? -1)).toBe(true);
      }),
    );
  });
  it("lets many alike siblings be one row, with what is below them", () => {
    // A root with four alike, each with a child, and one of another name.
    const made = tree([0, 1, 2, 1, 2, 1, 2, 1, 2, 1], new Set([4]));
    const names = ["root", "q", "x", "q", "x", "q", "x", "q", "x", "other"];
    const rows = names.map((_, at) => ({ start: at * 10, duration: 5, failed: at === 4 }));
    const groups = likeSiblings(
      made,
      names.map((name) => ["root", "q", "x", "other"].indexOf(name)),
      rows,
    );
    expect([...groups.keys()]).toEqual([1]);
    expect(groups.get(1)).toEqual({ members: [1, 3, 5, 7], start: 10, end: 75, failed: 1 });
    expect([...inSightOf(made, new Set(), groups, undefined)]).toEqual([0, 1, 9]);
  });
});
