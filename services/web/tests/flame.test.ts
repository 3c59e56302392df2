import fc from "fast-check";
import { expect, test } from "vitest";
import { flameLayout, LANES_MAX } from "../parts/pure/flame";

const spans = fc
  .array(fc.tuple(fc.nat(), fc.nat(100), fc.integer({ min: 1, max: 50 })), { minLength: 1, maxLength: 60 })
  .map((all) => ({
    // Parents stand before their children.
    parent: all.map(([seed], at) => (at === 0 ? -1 : (seed % (at + 1)) - 1)),
    start: all.map(([, start]) => start),
    duration: all.map(([, , duration]) => duration),
  }));

test("callees stand below their callers, and nothing covers anything else", () => {
  fc.assert(
    fc.property(spans, ({ parent, start, duration }) => {
      const { lane, lanes } = flameLayout(parent, start, duration);
      const of = (values: readonly number[] | Int32Array, at: number): number => values[at] ?? 0;
      for (let a = 0; a < parent.length; a += 1) {
        const above = of(parent, a);
        if (above >= 0) expect(of(lane, a)).toBeGreaterThan(of(lane, above));
        expect(of(lane, a)).toBeLessThan(lanes);
        for (let b = 0; b < a; b += 1) {
          const isApart =
            of(lane, a) !== of(lane, b) ||
            of(start, a) >= of(start, b) + of(duration, b) ||
            of(start, b) >= of(start, a) + of(duration, a);
          expect(isApart).toBe(true);
        }
      }
    }),
  );
});

test("20,000 spans at once, and as many one below the other, take little time", () => {
  const many = Array.from({ length: 20_000 }, (_, at) => at);
  for (const parent of [many.map((at) => (at === 0 ? -1 : 0)), many.map((at) => at - 1)]) {
    const began = performance.now();
    const { lanes } = flameLayout(
      parent,
      many,
      many.map(() => 20_000),
    );
    expect(lanes).toBe(LANES_MAX);
    expect(performance.now() - began).toBeLessThan(1_000);
  }
});
