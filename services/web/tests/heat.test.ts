import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boxText, durationTerm, durationWords, parsedBox, rowOf, rowStart, slowRow } from "../parts/pure/heat";

const NS: Record<string, number> = { ns: 1, us: 1_000, ms: 1_000_000, s: 1_000_000_000 };
const inNs = (words: string): number => {
  const [, number = "", unit = ""] = /^([\d.]+)(ns|us|ms|s)$/.exec(words) ?? [];
  return Number(number) * (NS[unit] ?? Number.NaN);
};

describe("a heatmap", () => {
  it("has a row for each quarter of a doubling", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 180 }), (row) => rowOf(Math.round(rowStart(row))) === row || row < 16),
    );
  });
  it("keeps a box in the URL", () => {
    const box = { startMs: 1_700_000_000_000, endMs: 1_700_000_060_000, minNs: 1_000_000, maxNs: 2_000_000 };
    expect(parsedBox(boxText(box))).toEqual(box);
    for (const wrong of [undefined, "", "1-2-3", "2-1-3-4", "1-2-4-3", "1-2-3-x"])
      expect(parsedBox(wrong)).toBeUndefined();
  });
  it("writes durations that have all of a box in them", () => {
    expect(durationTerm({ startMs: 0, endMs: 1, minNs: 104_857_600, maxNs: 1_234_567_890 })).toBe(
      "duration:(>=104ms <1.24s)",
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 14 }), (ns) => {
        expect(inNs(durationWords(ns, "down"))).toBeLessThanOrEqual(ns * (1 + 1e-12));
        expect(inNs(durationWords(ns, "up"))).toBeGreaterThanOrEqual(ns * (1 - 1e-12));
      }),
    );
  });
  it("finds the slowest", () => {
    expect(slowRow([10, 20, 30], [95, 3, 2], 0.05)).toBe(20);
    expect(slowRow([10], [5], 0.05)).toBeUndefined();
    expect(slowRow([], [], 0.05)).toBeUndefined();
    expect(slowRow([10, 20], [1, 3], 0.05)).toBe(20);
  });
});
