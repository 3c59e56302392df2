import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pieces, quoted, term, without, withTerm, withValue } from "../parts/pure/terms";

const texts = (query: string): string[] => pieces(query).all.map(({ text }) => text);

describe("terms", () => {
  it("writes values and names so that the language reads them as they are", () => {
    expect([quoted("checkout"), quoted("a b"), quoted('say "no"'), quoted("C:\\tmp\\"), quoted("or")]).toEqual([
      "checkout",
      '"a b"',
      '"say \\"no\\""',
      '"C:\\\\tmp\\\\"',
      '"or"',
    ]);
    expect(term('odd "name"\\', 1, true)).toBe('-"odd \\"name\\"\\\\":1');
    expect(term("x", { a: 1 })).toBeUndefined();
  });
  it("takes a query apart where terms stand side by side", () => {
    expect(texts('a "b OR c" (d OR e) -(f g) x:(1 OR 2) NOT y:"p q" body:/a (b) c/ AND z')).toEqual([
      "a",
      '"b OR c"',
      "(d OR e)",
      "-(f g)",
      "x:(1 OR 2)",
      'NOT y:"p q"',
      "body:/a (b) c/",
      "z",
    ]);
    expect(pieces('"b OR c" (d OR e)').areAlternatives).toBe(false);
    expect(pieces("a OR (b c)").areAlternatives).toBe(true);
  });
  it("loses nothing of any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab "()\\/:-ORNT') }), (query) => {
        let end = 0;
        for (const piece of pieces(query).all) {
          expect(query.slice(end, piece.start)).toMatch(/^(?:\s|AND|OR)*$/);
          expect(query.slice(piece.start, piece.end)).toBe(piece.text);
          end = piece.end;
        }
        expect(query.slice(end)).toMatch(/^(?:\s|AND|OR|NOT)*$/);
      }),
    );
  });
  it("adds a term to all alternatives", () => {
    expect(withTerm("a OR b", "x:1")).toBe("(a OR b) x:1");
    expect(withTerm("(a) OR (b)", "x:1")).toBe("((a) OR (b)) x:1");
    expect(withTerm("(a OR b)", "x:1")).toBe("(a OR b) x:1");
    expect(withTerm("a OR x:1", "x:1")).toBe("(a OR x:1) x:1");
    expect(withTerm("a OR -x:1", "x:1")).toBe("(a OR -x:1) x:1");
    expect(withTerm('"a OR b"', "x:1")).toBe('"a OR b" x:1');
  });
  it("lets a term and its opposite replace each other", () => {
    expect(withTerm("a x:1", "x:1")).toBe("a x:1");
    expect(withTerm("a x:1 b", "-x:1")).toBe("a b -x:1");
    expect(withTerm("a NOT x:1", "x:1")).toBe("a x:1");
    expect(withTerm("", "x:1")).toBe("x:1");
  });
  it("drops pieces, but none of alternatives", () => {
    expect(without("a (b OR c) d", (text) => text === "(b OR c)")).toBe("a d");
    expect(without("a OR b", (text) => text === "a")).toBe("a OR b");
  });
  it("gives a field one value", () => {
    expect(withValue("x service:a", "service", "service:b")).toBe("x service:b");
    expect(withValue("x service:b", "service", "service:b")).toBe("x");
    expect(withValue("x -service:b", "service", "service:b")).toBe("x service:b");
  });
});
