import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completed, fitting, writingAt } from "../parts/pure/completion";

/** What is being written where the sign | stands. */
const at = (marked: string) => writingAt(marked.replace("|", ""), marked.indexOf("|"));
const chosen = (marked: string, value: string): string => {
  const text = marked.replace("|", "");
  const writing = writingAt(text, marked.indexOf("|"));
  if (!writing) throw new Error("nothing is being written");
  const { text: written, caret } = completed(text, writing, value);
  return `${written.slice(0, caret)}|${written.slice(caret)}`;
};

describe("completion", () => {
  it("knows what is being written", () => {
    expect(at("|")).toMatchObject({ kind: "field", prefix: "" });
    expect(at("a -ser|")).toMatchObject({ kind: "field", prefix: "ser" });
    expect(at("service:che|")).toMatchObject({ kind: "value", field: "service", prefix: "che" });
    expect(at('name:"POST /c|')).toMatchObject({ kind: "value", field: "name", prefix: "POST /c" });
    expect(at('"odd name":x|')).toMatchObject({ kind: "value", field: "odd name", prefix: "x" });
    expect(at("duration>=1|")).toMatchObject({ kind: "value", field: "duration", prefix: "1" });
    expect(at("status_code:(500 OR 5|)")).toMatchObject({ kind: "value", field: "status_code", prefix: "5" });
    expect(at("status_code:(404 OR >=5|")).toMatchObject({ kind: "value", field: "status_code", prefix: "5" });
    expect(at("(a OR ser|")).toMatchObject({ kind: "field", prefix: "ser" });
    expect(at("x:(1 OR 2) ser|")).toMatchObject({ kind: "field", prefix: "ser" });
    expect(at('"connection re|')).toBeUndefined();
    expect(at('"connection re|fused"')).toBeUndefined();
  });
  it("writes names and values where they belong", () => {
    expect(chosen("a ser|", "service")).toBe("a service:|");
    expect(chosen("se|r:checkout", "service")).toBe("service|:checkout");
    expect(chosen("-ser|", "odd name")).toBe('-"odd name":|');
    expect(chosen("service:|", "checkout")).toBe("service:checkout |");
    expect(chosen('name:"POST|" x', "POST /cart")).toBe('name:"POST /cart"| x');
    expect(chosen("name:(a OR b|)", "c d")).toBe('name:(a OR "c d"|)');
  });
  it("never loses what stands before and behind", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab "():=<->\\') }), fc.nat(), (text, number) => {
        const caret = number % (text.length + 1);
        const writing = writingAt(text, caret);
        if (!writing) return;
        expect(writing.start).toBeLessThanOrEqual(caret);
        expect(writing.end).toBeGreaterThanOrEqual(caret);
        const { text: written } = completed(text, writing, "v");
        expect(written.startsWith(text.slice(0, writing.start))).toBe(true);
        expect(written.endsWith(text.slice(writing.end))).toBe(true);
      }),
    );
  });
  it("offers what begins so before what contains it", () => {
    const offers = [{ value: "error.type" }, { value: "type" }, { value: "name" }];
    expect(fitting(offers, "TY", 5).map(({ value }) => value)).toEqual(["type", "error.type"]);
    expect(fitting([{ value: "name" }], "name", 5)).toEqual([]);
  });
});
