import fc from "fast-check";
import { expect, test } from "vitest";
import { unfolded } from "../parts/pure/bodies";

test("a body with parts is its leaves, in their order", () => {
  const body = { msg: "paid", order: { id: 7, items: ["a", { sku: "b" }] }, none: null, empty: {} };
  const found = unfolded(body);
  expect(found?.isStructured).toBe(true);
  expect(found?.leaves.map(({ path, value }) => [path, value])).toEqual([
    ["msg", "paid"],
    ["order.id", 7],
    ["order.items.0", "a"],
    ["order.items.1.sku", "b"],
    ["none", null],
    ["empty", {}],
  ]);
  expect(unfolded(` ${JSON.stringify(body)}`)).toEqual({ ...found, isStructured: false });
});

test("what has no parts is left as it is, and what has very many is cut", () => {
  for (const body of ["", "paid", "{not json", "[]", "{}", "12", 7, null, undefined, true, {}, []]) {
    expect(unfolded(body)).toBeUndefined();
  }
  expect(unfolded(Array.from({ length: 1_000 }, (_, at) => at))).toMatchObject({ more: 700 });
  let deep: unknown = 1;
  for (let at = 0; at < 50_000; at += 1) deep = { a: deep };
  expect(unfolded(deep)?.leaves).toHaveLength(1);
  fc.assert(
    fc.property(fc.json(), (text) => {
      const found = unfolded(text);
      if (found) expect(unfolded(JSON.parse(text))?.leaves).toEqual(found.leaves);
    }),
  );
});
