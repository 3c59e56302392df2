import fc from "fast-check";
import { expect, test } from "vitest";
import { chosenBy, traceIdIn } from "../parts/pure/palette";

const run = (): void => undefined;
const choices = [
  { key: "1", group: "Page", name: "Services", run },
  { key: "2", group: "Service", name: "checkout: traces", run },
  { key: "3", group: "Tenant", name: "Shop checkout (Main)", run },
  { key: "4", group: "Action", name: "Recheck", run },
];

test("what begins with the words comes first, and every word must be there", () => {
  const names = (wanted: string): string[] => chosenBy(choices, wanted).map((one) => one.key);
  expect(names("")).toEqual(["1", "2", "3", "4"]);
  expect(names("check")).toEqual(["2", "3", "4"]);
  expect(names("CHECKOUT tenant")).toEqual(["3"]);
  expect(names("service")).toEqual(["1", "2"]);
  expect(names("nothing")).toEqual([]);
});

test("a trace id is found in what people paste", () => {
  const id = "4bf92f3577b34da6a3ce929d0e0e4736";
  for (const text of [id, ` ${id.toUpperCase()} `, `00-${id}-00f067aa0ba902b7-01`, `http://x/t/1/traces/${id}?a=b`]) {
    expect(traceIdIn(text)).toBe(id);
  }
  for (const text of ["", "0".repeat(32), id.slice(1), `${id}0`, "checkout"]) expect(traceIdIn(text)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => traceIdIn(text)?.length !== 0));
});
