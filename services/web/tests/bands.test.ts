import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bandsOf, bandText, boundsShown, shareOf } from "../parts/pure/bands";

const columns = { lower: [null, 0.1, 1], upper: [0.1, 1, null], bands: [0, 1, 0, 2], counts: [9, 3, 1, 2] };

describe("bands of a histogram", () => {
  it("have the observations of all steps", () => {
    expect(bandsOf(columns).map((band) => band.count)).toEqual([10, 3, 2]);
    expect(bandsOf({ lower: [], upper: [], bands: [], counts: [] })).toEqual([]);
  });
  it("have words", () => {
    expect(bandsOf(columns).map((band) => bandText(band, "s"))).toEqual(["up to 100 ms", "100 ms – 1 s", "above 1 s"]);
    expect(bandText({ lower: 0, upper: 0 }, "By")).toBe("0 B");
    expect(bandText({ lower: null, upper: null }, "")).toBe("any value");
  });
  it("write their bounds beside them, where there are some", () => {
    expect(boundsShown(bandsOf(columns), 8)).toEqual([
      { share: 1 / 3, value: 0.1 },
      { share: 2 / 3, value: 1 },
    ]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 128 }), fc.integer({ min: 2, max: 20 }), (bands, wanted) => {
        const all = Array.from({ length: bands }, (_, at) => ({ lower: at, upper: at + 1, count: 1 }));
        const shown = boundsShown(all, wanted);
        expect(shown.length).toBeLessThanOrEqual(wanted + 1);
        for (const { share, value } of shown) expect(share * bands).toBeCloseTo(value);
      }),
    );
  });
  it("know where a value stands", () => {
    const bands = bandsOf(columns);
    expect(shareOf(bands, 0.01)).toBeCloseTo(1 / 6);
    expect(shareOf(bands, 0.55)).toBeCloseTo(1 / 2);
    expect(shareOf(bands, 100)).toBeCloseTo(5 / 6);
    expect(shareOf(bandsOf({ lower: [1], upper: [2], bands: [0], counts: [1] }), 3)).toBeUndefined();
  });
});
