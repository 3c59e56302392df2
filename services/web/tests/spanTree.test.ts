import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inSight, parentPosition, spanTree, type TreeSpan } from "../parts/pure/spanTree";

const span = (id: string, parentId: string | null, start: number, failed = false): TreeSpan => ({
  id,
  parentId,
  start,
  duration: 1,
  failed,
});
const names = (spans: TreeSpan[]): string[] => [...spanTree(spans).order].map((index) => spans[index]?.id ?? "");

describe("the tree of spans", () => {
  it("puts children below their parents, by their start", () => {
    const spans = [span("c", "a", 3), span("a", null, 0), span("b", "a", 1), span("d", "b", 5)];
    expect(names(spans)).toEqual(["a", "b", "d", "c"]);
    const tree = spanTree(spans);
    expect([...tree.depth]).toEqual([0, 1, 2, 1]);
    expect([...tree.size]).toEqual([4, 2, 1, 1]);
    expect(parentPosition(tree, 3)).toBe(0);
  });
  it("marks missing parents, circles and what failed below", () => {
    const spans = [span("x", "gone", 0), span("y", "z", 1), span("z", "y", 2), span("w", "x", 1, true)];
    expect(names(spans)).toEqual(["x", "w", "y", "z"]);
    expect([...spanTree(spans).orphan]).toEqual([1, 0, 1, 0]);
    expect([...spanTree(spans).failedBelow]).toEqual([1, 0, 0, 0]);
  });
  it("hides what is below a collapsed span", () => {
    const tree = spanTree([span("a", null, 0), span("b", "a", 1), span("c", "b", 2), span("d", "a", 3)]);
    expect([...inSight(tree, new Set([1]))]).toEqual([0, 1, 3]);
    expect([...inSight(tree, new Set([0]))]).toEqual([0]);
  });
  it("places every span once, whatever the parents are", () => {
    const any = fc.array(fc.record({ parent: fc.nat(60), start: fc.nat(100) }), { maxLength: 60 });
    fc.assert(
      fc.property(any, (drawn) => {
        const spans = drawn.map(({ parent, start }, index) =>
          span(`${index}`, parent === index ? null : `${parent}`, start),
        );
        const tree = spanTree(spans);
        expect([...tree.order].sort((a, b) => a - b)).toEqual(spans.map((_, index) => index));
        for (const [at, size] of tree.size.entries()) {
          for (let below = at + 1; below < at + size; below += 1) {
            expect(tree.depth[below]).toBeGreaterThan(tree.depth[at] ?? 0);
          }
        }
      }),
    );
  });
  it("takes a chain of 100,000 spans", () => {
    const spans = Array.from({ length: 100_000 }, (_, index) => span(`${index}`, index ? `${index - 1}` : null, index));
    const tree = spanTree(spans);
    expect(tree.depth.at(-1)).toBe(99_999);
    expect(tree.size[0]).toBe(100_000);
  });
});
