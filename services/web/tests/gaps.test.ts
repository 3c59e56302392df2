import fc from "fast-check";
import { expect, test } from "vitest";
import { longGaps, scaleOf } from "../parts/pure/gaps";

const HOUR = 3.6e12;

test("hours in which nothing begins or ends are folded, but for those in which a span without children works", () => {
  const starts = [0, 1e6, 3 * HOUR, 3 * HOUR + 2e6];
  const durations = [3 * HOUR + 5e6, 2e6, 1e6, 2e6];
  const length = 3 * HOUR + 5e6;
  const leaves = [false, true, true, true];
  const gaps = longGaps(starts, durations, length, leaves);
  expect(longGaps([...starts, 2e6], [...durations, 3 * HOUR], length, [...leaves, true])).toEqual([]);
  expect(gaps).toEqual([{ from: 3e6, to: 3 * HOUR }]);
  const scale = scaleOf(length, gaps);
  expect(scale.length).toBeLessThan(10e6);
  expect(scale.place(3 * HOUR) - scale.place(3e6)).toBeLessThan(1e6);
  // What is outside stays as long as it was.
  expect(scale.place(3 * HOUR + 3e6) - scale.place(3 * HOUR + 2e6)).toBeCloseTo(1e6, 0);
});

test("every moment has one place, in order, and back", () => {
  const spans = fc.array(fc.tuple(fc.nat(1e6), fc.nat(1e5)), { minLength: 3, maxLength: 30 });
  fc.assert(
    fc.property(spans, fc.nat(1e6), fc.nat(1e6), (all, a, b) => {
      const length = Math.max(1, ...all.map(([start, took]) => start + took));
      const gaps = longGaps(
        all.map(([start]) => start),
        all.map(([, took]) => took),
        length,
        all.map(() => false),
      );
      const { place, moment, length: folded } = scaleOf(length, gaps);
      const [x, y] = [(a / 1e6) * length, (b / 1e6) * length];
      if (x < y) expect(place(x)).toBeLessThanOrEqual(place(y));
      expect(place(0)).toBeCloseTo(0);
      expect(place(length)).toBeCloseTo(folded);
      expect(moment(place(x)) / length).toBeCloseTo(x / length, 5);
    }),
  );
});
