import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { around, mended } from "../parts/pure/mistakes";

const mistake = (position: number, length: number) => ({ position, length, choices: [] });

describe("a mistake", () => {
  it("has a place in the text, whatever is before it", () => {
    expect(around("severity>=errr x", mistake(10, 4))).toEqual(["severity>=", "errr", " x"]);
    expect(around("🔥🔥 severity:x", mistake(12, 1))).toEqual(["🔥🔥 severity:", "x", ""]);
    expect(around("service:", mistake(8, 0))).toEqual(["service:", "", ""]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(20), fc.nat(20), (text, position, length) => {
        expect(around(text, mistake(position, length)).join("")).toBe(text);
      }),
    );
  });
  it("is mended with a choice", () => {
    expect(mended("a severity>=errr b", mistake(12, 4), "error")).toBe("a severity>=error b");
  });
});
