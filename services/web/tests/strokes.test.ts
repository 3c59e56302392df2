import fc from "fast-check";
import { expect, test } from "vitest";
import { strokes } from "../charts/strokes";

test.each([
  [[1, 2, 3], [[0, 1, 2]]],
  [
    [1, null, 3, 4],
    [[0], [2, 3]],
  ],
  [[null, 1, null], [[1]]],
  [[1, null, null, null, 5, null, null, null, 9], [[0, 4, 8]]],
  [
    [1, null, 3, null, 5, null, null, null, null, 10, null, 12],
    [
      [0, 2, 4],
      [9, 11],
    ],
  ],
  [[], []],
])("%j goes through %j", (values, expected) => {
  expect(strokes(values, 100)).toEqual(expected);
});

test("every value is on a stroke, once, and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer())), (values) => {
      const steps = strokes(values, 1000).flat();
      expect(steps).toEqual(values.flatMap((value, step) => (value === null ? [] : [step])));
    }),
  );
});

test("of many values each pixel has its extremes, and gaps stay gaps", () => {
  const values = Array.from({ length: 10_000 }, (_, at) => (at >= 4_000 && at < 6_000 ? null : at % 97));
  const found = strokes(values, 100);
  expect(found).toHaveLength(2);
  expect(found.flat().length).toBeLessThan(100 * 5);
});
