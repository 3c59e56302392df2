import fc from "fast-check";
import { expect, test } from "vitest";
import { promCompleted, promWritingAt } from "../parts/pure/promCompletion";

/** What is being written at the | of a text. */
const at = (marked: string) => {
  const caret = marked.indexOf("|");
  return promWritingAt(marked.replace("|", ""), caret);
};
const chosen = (marked: string, value: string): string => {
  const writing = at(marked);
  if (!writing) throw new Error(marked);
  const { text, caret } = promCompleted(marked.replace("|", ""), writing, value);
  return `${text.slice(0, caret)}|${text.slice(caret)}`;
};

test.each([
  ["ra|", "name", "ra", "", ""],
  ["sum(rate(http_re|[5m]))", "name", "http_re", "", ""],
  ["a + http|", "name", "http", "", ""],
  ["up{|", "label", "", "up", ""],
  ['up{job="x", ins|}', "label", "ins", "up", ""],
  ['up{job="sh|"}', "value", "sh", "up", "job"],
  ["up{job=~'a|b|'}", "value", "a", "up", "job"],
  ["sum by (jo|) (shop_requests_total)", "label", "jo", "shop_requests_total", ""],
  ["sum by (a, |) (rate(shop_requests_total[5m]))", "label", "", "shop_requests_total", ""],
] as const)("%s", (marked, kind, prefix, metric, label) => {
  expect(at(marked)).toMatchObject({ kind, prefix, metric, label });
});

test.each(["|", "up[5|]", "up[|", "12|", "up offset |", "# a comm|ent", '"tex|t"', "up{job=|", "a |", "up{} |"])(
  "nothing is offered at %s",
  (marked) => expect(at(marked)).toBeUndefined(),
);

test("what is chosen takes the place of what was written, with what has to follow", () => {
  expect(chosen("ra|", "rate")).toBe("rate(|");
  expect(chosen("ra|(x)", "rate")).toBe("rate|(x)");
  expect(chosen("sum(htt|)", "http_requests_total")).toBe("sum(http_requests_total|)");
  expect(chosen("up{jo|}", "job")).toBe('up{job="|}');
  expect(chosen('up{jo|="x"}', "job")).toBe('up{job|="x"}');
  expect(chosen('up{job="s|"}', 'sh"op')).toBe('up{job="sh\\"op"|}');
  expect(chosen('up{job="s|', "shop")).toBe('up{job="shop"|');
  expect(chosen("sum by (a, jo|) (up)", "job")).toBe("sum by (a, job|) (up)");
});

test("any text at any place answers", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(30), (text, caret) => {
      const writing = promWritingAt(text, Math.min(caret, text.length));
      if (writing) expect(promCompleted(text, writing, "x").caret).toBeGreaterThan(0);
    }),
  );
});
