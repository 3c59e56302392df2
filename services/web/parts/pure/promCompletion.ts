// What may be written at a place of a PromQL expression: a metric or function, a label, or a value of a label.
import type { Edited } from "./completion";

export interface PromWriting {
  kind: "name" | "label" | "value";
  /** The metric whose labels are meant, if it is known. */
  metric: string;
  /** The label whose value is being written. */
  label: string;
  prefix: string;
  start: number;
  end: number;
}

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*$/i;
const WORD = /[A-Za-z0-9_:.]/;
const NAME_AT_END = /([A-Za-z_:][A-Za-z0-9_:]*)\s*$/;

/** What is being written at the caret; undefined where nothing can be offered. */
export function promWritingAt(text: string, caret: number): PromWriting | undefined {
  const braces: number[] = [];
  const brackets: number[] = [];
  let quote: { at: number; sign: string } | undefined;
  for (let at = 0; at < caret; at += 1) {
    const sign = text[at] ?? "";
    if (quote) {
      if (sign === "\\") at += 1;
      else if (sign === quote.sign) quote = undefined;
    } else if (sign === '"' || sign === "'" || sign === "`") quote = { at, sign };
    else if (sign === "#") {
      const end = text.indexOf("\n", at);
      if (end < 0 || end >= caret) return undefined;
      at = end;
    } else if (sign === "{") braces.push(at);
    else if (sign === "}") braces.pop();
    else if (sign === "(") brackets.push(at);
    else if (sign === ")") brackets.pop();
  }
  const brace = braces.at(-1);
  const metric = brace === undefined ? "" : (NAME_AT_END.exec(text.slice(0, brace))?.[1] ?? "");
  if (quote) {
    const label =
      brace === undefined ? undefined : /([A-Za-z_][\w.]*)\s*(?:=~|!~|!=|=)\s*$/.exec(text.slice(brace, quote.at))?.[1];
    if (label === undefined) return undefined;
    const rest = text.slice(caret).search(new RegExp(`${quote.sign}|[,}\\n]`));
    const end = rest < 0 ? text.length : caret + rest;
    return { kind: "value", metric, label, prefix: text.slice(quote.at + 1, caret), start: quote.at + 1, end };
  }
  let start = caret;
  while (start > 0 && WORD.test(text[start - 1] ?? "")) start -= 1;
  let end = caret;
  while (end < text.length && WORD.test(text[end] ?? "")) end += 1;
  const prefix = text.slice(start, caret);
  if (/^[0-9.]/.test(prefix)) return undefined;
  const before = text.slice(0, start);
  if (brace !== undefined) {
    // After an operator comes a value, which stands in quotes.
    return /[{,]\s*$/.test(before) ? { kind: "label", metric, label: "", prefix, start, end } : undefined;
  }
  const bracket = brackets.at(-1);
  if (bracket !== undefined && GROUPING.test(text.slice(0, bracket))) {
    return { kind: "label", metric: metricsIn(text)[0] ?? "", label: "", prefix, start, end };
  }
  if (/[[@]\s*\w*$/.test(before) || /\boffset\s*$/i.test(before)) return undefined;
  return prefix === "" ? undefined : { kind: "name", metric: "", label: "", prefix, start, end };
}

/** Names in an expression that may be those of metrics. */
function metricsIn(text: string): string[] {
  const bare = text.replace(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, " ");
  return [...bare.matchAll(/[A-Za-z_:][A-Za-z0-9_:]*(?!\s*\(|[A-Za-z0-9_:])/g)]
    .map(([name]) => name)
    .filter((name) => name.includes("_") && !FUNCTIONS.includes(name));
}

/** The expression with this name or value in the place of what was being written. */
export function promCompleted(text: string, writing: PromWriting, chosen: string): Edited {
  const { kind, start, end } = writing;
  const rest = text.slice(end);
  let written = chosen;
  if (kind === "value") {
    const sign = text[start - 1] ?? '"';
    written = chosen.replaceAll("\\", "\\\\").replaceAll(sign, `\\${sign}`);
    if (!rest.startsWith(sign)) written += sign;
    const caret = start + written.length + (rest.startsWith(sign) ? 1 : 0);
    return { text: text.slice(0, start) + written + rest, caret };
  }
  if (
    kind === "label" &&
    /[{,]\s*$/.test(text.slice(0, start)) &&
    !isGrouping(text, start) &&
    !/^\s*(?:=|!)/.test(rest)
  ) {
    written += '="';
  }
  if (kind === "name" && FUNCTIONS.includes(chosen) && !rest.startsWith("(")) written += "(";
  return { text: text.slice(0, start) + written + rest, caret: start + written.length };
}

const isGrouping = (text: string, start: number): boolean => {
  const open = text.lastIndexOf("(", start - 1);
  return open > text.lastIndexOf("{", start - 1) && GROUPING.test(text.slice(0, open));
};

/** Aggregations and functions of PromQL. */
export const FUNCTIONS: readonly string[] = [
  ...["sum", "avg", "min", "max", "count", "stddev", "stdvar", "group", "topk", "bottomk", "quantile", "count_values"],
  ...["rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "resets", "changes"],
  ...["avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "quantile_over_time"],
  ...["stddev_over_time", "stdvar_over_time", "last_over_time", "present_over_time", "absent_over_time"],
  ...["histogram_quantile", "histogram_avg", "histogram_count", "histogram_sum", "histogram_fraction"],
  ...[
    "abs",
    "absent",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "exp",
    "floor",
    "ln",
    "log2",
    "log10",
    "round",
    "sgn",
  ],
  ...["sqrt", "scalar", "vector", "time", "timestamp", "sort", "sort_desc", "label_join", "label_replace"],
  ...["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"],
];
