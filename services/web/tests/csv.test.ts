import fc from "fast-check";
import { expect, test } from "vitest";
import { cell, csv } from "../parts/pure/csv";

test.each([
  ["plain", "plain"],
  ['a "b", c', '"a ""b"", c"'],
  ["two\nlines", '"two\nlines"'],
  ["=1+1", "'=1+1"],
  ["@SUM(A1)", "'@SUM(A1)"],
  ['=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
  ["-12.5", "-12.5"],
  ["-12.5+A1", "'-12.5+A1"],
])("%s is the cell %s", (text, expected) => {
  expect(cell(text)).toBe(expected);
});

test("no cell is a formula, and each row is one", () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (row) => {
      for (const one of row.map(cell)) expect(one).toMatch(/^(?!["]?[=@\t\r])/);
      expect(csv([row, row])).toBe(csv([row]).repeat(2));
    }),
  );
});
