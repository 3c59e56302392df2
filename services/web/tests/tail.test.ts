import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventParser, TailBuffer } from "../parts/pure/tail";
import { patternTerm } from "../parts/pure/terms";

const STREAM =
  ': connected\r\n\r\nevent: log\r\ndata: {"a":1}\r\n\r\nevent: gap\ndata: {}\n\n: nothing new\n\ndata: x\ndata: y\n\n';
const EVENTS = [
  { event: "log", data: '{"a":1}' },
  { event: "gap", data: "{}" },
  { event: "message", data: "x\ny" },
];

describe("a tail", () => {
  it("finds the events wherever the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: STREAM.length })), (cuts) => {
        const parser = new EventParser();
        const at = [0, ...cuts.sort((a, b) => a - b), STREAM.length];
        const found = at.slice(1).flatMap((end, index) => parser.push(STREAM.slice(at[index], end)));
        expect(found).toEqual(EVENTS);
      }),
    );
  });
  it("keeps the newest, and what comes while it is paused waits", () => {
    const tail = new TailBuffer<number>(3);
    const records = (...numbers: number[]) => numbers.map((record) => ({ record }));
    tail.add(records(1, 2, 3, 4));
    expect(tail.shown).toEqual(records(2, 3, 4));
    tail.pause();
    tail.add([...records(5), { note: "a gap" }]);
    expect(tail.shown).toEqual(records(2, 3, 4));
    expect(tail.waiting).toBe(1);
    tail.resume();
    expect(tail.shown).toEqual([...records(4, 5), { note: "a gap" }]);
    tail.pause();
    tail.add(records(6, 7, 8, 9));
    tail.resume();
    expect(tail.shown).toEqual([expect.objectContaining({ note: expect.any(String) }), ...records(8, 9)]);
    expect(tail.waiting).toBe(0);
  });
});

describe("patterns", () => {
  it("become terms that find their records", () => {
    const found = patternTerm("GET /cart/<*> took <*> ms (cold)");
    expect(found).toBe(String.raw`body:/GET\s+\/cart\/.*\s+took\s+.*\s+ms\s+\(cold\)/`);
    const expression = new RegExp(found?.slice(6, -1) ?? "");
    expect(expression.test("GET /cart/17 took 20 ms (cold)")).toBe(true);
    expect(patternTerm("<*> failed")).toBe("body:/failed/");
    expect(patternTerm("<*> <*>")).toBeUndefined();
    expect(patternTerm(`${"x".repeat(300)} <*> ${"y".repeat(300)}`)).toBe(`body:/${"x".repeat(300)}/`);
  });
});
