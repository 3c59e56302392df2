import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { contrast, distance, labDistance, linear, seen, visions } from "./ciede2000";

const tokens = readFileSync(new URL("../app/tokens.css", import.meta.url), "utf8");
const of = (name: string): readonly [string, string] => {
  const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(tokens);
  if (!found?.[1] || !found[2]) throw new Error(name);
  return [found[1], found[2]];
};

/** Pairs and distances of the supplement to the paper of Sharma, Wu and Dalal. */
test.each([
  [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
  [[50, -1.3802, -84.2814], [50, 0, -82.7485], 1],
  [[50, 2.5, 0], [50, 0, -2.5], 4.3065],
  [[50, 2.5, 0], [73, 25, -18], 27.1492],
  [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
  [[22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619], 2.0373],
  [[2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082],
] as const)("%o and %o are %d apart", (a, b, apart) => {
  expect(labDistance(a, b)).toBeCloseTo(apart, 3);
});

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("services in the %s theme", (_, theme) => {
  const services = Array.from({ length: 8 }, (__, at) => linear(of(`service-${at}`)[theme]));
  const [ground, error] = [linear(of("bg")[theme]), linear(of("error-fill")[theme])];

  test.each(visions)("differ by ten from one another and by twelve from errors, to %s eyes", (vision) => {
    const shown = services.map((colour) => seen(colour, vision));
    for (const [at, colour] of shown.entries()) {
      for (const other of shown.slice(0, at))
        expect(distance(colour, other), `service ${at}`).toBeGreaterThanOrEqual(10);
      expect(distance(colour, seen(error, vision)), `service ${at} and errors`).toBeGreaterThanOrEqual(12);
    }
  });

  test("have a contrast of three to their ground", () => {
    for (const colour of services) expect(contrast(colour, ground)).toBeGreaterThanOrEqual(3);
  });
});
