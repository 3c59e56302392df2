import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServiceColours } from "../parts/pure/colours";
import { change, count, duration, isCovered, percent, plain, rate, severity, shortCount } from "../parts/pure/formats";

describe("formats", () => {
  it("gives eight services eight colours, and remembers them without their names", () => {
    const kept = new Map<string, string>();
    const memory = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    const names = ["frontend", "catalogue", "cart", "checkout", "email", "inventory", "payment", "shipping"];
    const first = new ServiceColours("a", memory);
    const colours = names.map((name) => first.of(name));
    expect(new Set(colours).size).toBe(8);
    const later = new ServiceColours("a", memory);
    expect(names.toReversed().map((name) => later.of(name))).toEqual(colours.toReversed());
    expect([...kept.values()].join()).not.toContain("checkout");
    kept.set("duoscope.colours.b", "no JSON");
    expect(new ServiceColours("b", memory).of("x")).toBeLessThan(8);
  });
  it("writes durations with a unit that fits", () => {
    expect(
      [0, 999, 1_500, 12_345_678, 999_960_000, 1_500_000_000, 90_000_000_000, 3_660_000_000_000].map(duration),
    ).toEqual(["0 ms", "999 ns", "1.5 µs", "12.3 ms", "1 s", "1.5 s", "1 min 30 s", "1 h 1 min"]);
  });
  it("never writes a duration of more than a few characters", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 86_400_000_000_000 }), (ns) => duration(ns).length <= 12));
  });
  it("writes numbers", () => {
    expect([count(1_234_567), shortCount(9_999), shortCount(1_250_000)]).toEqual(["1,234,567", "9,999", "1.3M"]);
    expect([0, 0.00001, 0.0004, 0.0312, 0.5, 1].map(percent)).toEqual(["0%", "<0.01%", "0.04%", "3.1%", "50%", "100%"]);
  });
  it("names severities", () => {
    expect([0, 1, 8, 9, 13, 17, 24].map(severity)).toEqual([
      "none",
      "trace",
      "debug",
      "info",
      "warn",
      "error",
      "fatal",
    ]);
  });
  it("shows what turns the direction of text", () => {
    expect(plain("a\u202eb")).toBe("a⟨U+202E⟩b");
  });
});

type Rgb = [number, number, number];

const linear = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const rgb = (hex: string): Rgb =>
  [1, 3, 5].map((at) => linear(Number.parseInt(hex.slice(at, at + 2), 16) / 255)) as Rgb;
const luminance = ([r, g, b]: Rgb): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const contrast = (a: string, b: string): number => {
  const [low, high] = [luminance(rgb(a)), luminance(rgb(b))].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
};

const tokens = readFileSync(new URL("../app/tokens.css", import.meta.url), "utf8");
const pair = (name: string): [string, string] => {
  const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(tokens);
  if (found?.[1] === undefined || found[2] === undefined) throw new Error(`no token ${name}`);
  return [found[1], found[2]];
};

describe("tokens", () => {
  const grounds = ["bg", "bg-side", "bg-raised", "bg-hover", "bg-chosen"];
  it.each(["fg", "fg-soft", "accent", "error", "warn"])("%s can be read on every ground", (name) => {
    for (const theme of [0, 1] as const)
      for (const ground of grounds) expect(contrast(pair(name)[theme], pair(ground)[theme])).toBeGreaterThan(4.5);
  });
  it("shows every service on the page", () => {
    for (let index = 0; index < 8; index += 1)
      for (const theme of [0, 1] as const)
        expect(contrast(pair(`service-${index}`)[theme], pair("bg")[theme])).toBeGreaterThan(3);
  });
});

it("a rate that is little is not written as none", () => {
  expect([0, 1 / 604_800, 1 / 21_600, 1 / 600, 0.05, 0.5, 12_345].map(rate)).toEqual([
    "0/s",
    "<0.1/h",
    "0.2/h",
    "0.1/min",
    "3.0/min",
    "0.5/s",
    "12.3K/s",
  ]);
});

it("a window in which all data begins late is not covered", () => {
  const late = [0, 0, 0, 0, 0, 0, 0, 9];
  expect([[], [[]], [late], [[0, 0, 1, 1, 1, 1, 1, 1]]].map(isCovered)).toEqual([false, false, false, false]);
  expect([[[1]], [late, [0, 1, 0, 0, 0, 0, 0, 0]]].map(isCovered)).toEqual([true, true]);
});

it("a change is said where there is one", () => {
  const said = (
    [
      [0, 0],
      [3, 0],
      [100, 100],
      [104, 100],
      [112, 100],
      [60, 100],
      [0, 100],
      [1_200, 100],
    ] as const
  ).map(([now, before]) => change(now, before));
  expect(said).toEqual([undefined, "new", undefined, undefined, "+12%", "−40%", "−100%", "×12"]);
});
