import fc from "fast-check";
import { expect, test } from "vitest";
import { NODE_HEIGHT, NODE_WIDTH, placed } from "../pages/services/layout";

const call = fc.tuple(fc.nat(11), fc.nat(11));

test("no line runs behind a card, nor from a card's top", () => {
  fc.assert(
    fc.property(fc.uniqueArray(call, { minLength: 1, maxLength: 24, selector: ([a, b]) => `${a} ${b}` }), (calls) => {
      const edges = calls
        .filter(([a, b]) => a !== b)
        .map(([a, b]) => ({ caller: `s${a}`, callee: `s${b}`, call_count: 1, error_count: 0 }));
      const names = [...new Set(edges.flatMap(({ caller, callee }) => [caller, callee]))];
      const { nodes, lines } = placed(names, edges);
      for (const [at, line] of lines.entries()) {
        const ends = [edges[at]?.caller, edges[at]?.callee];
        for (const [place, to] of line.entries()) {
          const from = line[place - 1];
          if (from === undefined) continue;
          const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
          const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
          for (const [name, { x, y }] of nodes) {
            const isBeside = right <= x - NODE_WIDTH / 2 + 0.5 || left >= x + NODE_WIDTH / 2 - 0.5;
            const isAbove = bottom < y - NODE_HEIGHT / 2 || top > y + NODE_HEIGHT / 2;
            expect(isBeside || isAbove || ends.includes(name), `${ends} behind ${name}`).toBe(true);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});
