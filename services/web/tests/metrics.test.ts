import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decimated } from "../charts/decimated";
import { extent } from "../charts/extent";
import {
  aggregations,
  figures,
  isOfValues,
  newQuery,
  parsedQueries,
  queriesText,
  unitOf,
  usualAggregation,
} from "../parts/pure/metricQueries";
import { inUnit, number, ticks, unitName } from "../parts/pure/units";

describe("units", () => {
  test.each([
    [0.0123, "s", "12.3 ms"],
    [0, "s", "0"],
    [90, "s", "1 min 30 s"],
    [1500, "ms", "1.5 s"],
    [1536, "By", "1.5 KiB"],
    [2 ** 31, "By/s", "2 GiB/s"],
    [3, "MBy", "2.86 MiB"],
    [17.25, "%", "17.3%"],
    [0.32, "1", "0.32"],
    [120, "{request}", "120"],
    [120, "{request}/s", "120/s"],
    [45_678, "", "45.7K"],
    [21.5, "Cel", "21.5 °C"],
    [0.5, "s/s", "0.5 s/s"],
    [12, "{thread}", "12"],
    [3, "furlong", "3 furlong"],
    [-0.0123, "s", "-12.3 ms"],
  ])("%d %s", (value, unit, words) => expect(inUnit(value, unit)).toBe(words));

  test("small and large numbers keep three digits", () => {
    expect([0, 0.1234, 999.4, 1234, 1e-5, 2.5e15].map(number)).toEqual([
      "0",
      "0.123",
      "999",
      "1,230",
      "1e-5",
      "2.5e15",
    ]);
    expect([unitName("{request}/s"), unitName("1"), unitName("By")]).toEqual(["request/s", "", "By"]);
  });

  test("ticks are round, within the range and few", () => {
    expect(ticks(0, 1.3, 4)).toEqual([0, 0.5, 1]);
    expect(ticks(0, 1.3 * 2 ** 20, 4, true)).toEqual([0, 2 ** 19, 2 ** 20]);
    fc.assert(
      fc.property(
        fc.double({ min: -1e9, max: 1e9, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e9, noNaN: true }),
        fc.boolean(),
        (low, span, binary) => {
          const found = ticks(low, low + span, 4, binary);
          const slack = span * 1e-6;
          return found.length <= 9 && found.every((one) => one >= low - slack && one <= low + span + slack);
        },
      ),
    );
  });

  test("lines begin at zero unless they are far from it", () => {
    expect(extent([[1, null, 4]])[0]).toBe(0);
    expect(extent([[95, 100]])[0]).toBeGreaterThan(90);
    expect(extent([[-4, -1]])[1]).toBe(0);
    expect(extent([[null]])).toEqual([0, 1]);
    expect(extent([[5, 5]])).toEqual([0, 6.25]);
  });
});

test("a line of many values goes through the extremes of each pixel", () => {
  const value = fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { nil: null });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 40 }),
      (values, columns) => {
        const kept = decimated(values, columns);
        expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
        expect(kept.length).toBeLessThanOrEqual(
          Math.max(columns * 5, values.length <= columns * 4 ? values.length : 0),
        );
        const there = values.flatMap((one) => (one === null ? [] : [one]));
        const drawn = kept.flatMap((step) => values[step] ?? []);
        if (there.length > 0) {
          expect(Math.max(...drawn)).toBe(Math.max(...there));
          expect(Math.min(...drawn)).toBe(Math.min(...there));
        }
        expect(kept.some((step) => values[step] === null)).toBe(values.includes(null));
      },
    ),
  );
});

describe("queries of metrics", () => {
  test("the URL keeps them, and what is no query is none", () => {
    const query = fc.record({
      metric: fc.string(),
      aggregation: fc.string(),
      query: fc.string(),
      by: fc.array(fc.string({ minLength: 1 }), { maxLength: 10 }),
      isHidden: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(query, { maxLength: 6 }), (all) => {
        expect(parsedQueries(queriesText(all))).toEqual(all);
      }),
    );
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => parsedQueries(text).length <= 6));
    expect(parsedQueries('[{"m":"a"},7,null]')).toEqual([newQuery("a")]);
  });

  test("what is asked for fits the type", () => {
    const usual = (type: string, is_monotonic = false): string => usualAggregation({ type, is_monotonic });
    expect([usual("counter", true), usual("counter"), usual("gauge"), usual("histogram"), usual("summary")]).toEqual([
      "rate",
      "avg",
      "avg",
      "p95",
      "avg",
    ]);
    expect(aggregations("gauge")).not.toContain("rate");
    expect(aggregations("histogram")).not.toContain("last");
    expect(unitOf("rate", "counter", "By")).toBe("By/s");
    expect(unitOf("rate", "histogram", "s")).toBe("/s");
    expect(unitOf("count", "histogram", "s")).toBe("");
    expect(unitOf("p99", "histogram", "s")).toBe("s");
    expect([isOfValues("p95", "histogram"), isOfValues("rate", "histogram"), isOfValues("avg", "gauge")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("a legend leaves out steps without a value", () => {
    expect(figures([null, 2, 4, null])).toEqual({ last: 4, avg: 3, min: 2, max: 4 });
    expect(figures([null])).toEqual({ last: undefined, avg: undefined, min: undefined, max: undefined });
  });
});
