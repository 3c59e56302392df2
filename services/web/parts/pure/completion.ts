// What the search language takes at a place of a query: the name of a field, or one of its values. See docs/search.md.
import { fieldName, quoted } from "./terms";

/** What somebody is writing where the caret is. */
export interface Writing {
  kind: "field" | "value";
  /** The field whose value it is; "" for a field's name. */
  field: string;
  /** What of it stands before the caret. */
  prefix: string;
  /** What it takes of the text. */
  start: number;
  end: number;
}

const TERM = /^-?("(?:\\[\s\S]|[^"\\])+"|[^\s"():=<>!]+)(?:!=|>=|<=|[:=<>])([\s\S]*)$/;
const LIST_OPERATOR = /^(?:!=|>=|<=|[:=<>])?/;

const unquoted = (text: string): string =>
  text.startsWith('"') ? text.replace(/^"|(?<!\\)"$/g, "").replace(/\\([\s\S])/g, "$1") : text;

/** Where the quoted text ends that begins here: behind its last quote, or undefined if it is open. */
function endOfQuoted(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return undefined;
}

/** What is being written at the caret; undefined within a phrase. */
export function writingAt(text: string, caret: number): Writing | undefined {
  const lists: string[] = [];
  let start = 0;
  let quote: { end: number } | undefined;
  for (let at = 0; at < caret; ) {
    const character = text[at] ?? "";
    if (character === '"') {
      const end = endOfQuoted(text, at);
      if (end === undefined || end > caret) {
        quote = { end: end ?? caret };
        break;
      }
      at = end;
      continue;
    }
    if (character === "(") lists.push(unquoted(TERM.exec(text.slice(start, at))?.[1] ?? ""));
    if (character === ")") lists.pop();
    at += 1;
    if (/[\s()]/.test(character)) start = at;
  }
  const token = text.slice(start, caret);
  const found = TERM.exec(token);
  const rest = quote?.end ?? caret + (/^[^\s()"]*/.exec(text.slice(caret))?.[0].length ?? 0);
  const list = lists.at(-1) ?? "";
  if (found || list !== "") {
    const field = found ? unquoted(found[1] ?? "") : list;
    const value = found ? (found[2] ?? "") : token.replace(LIST_OPERATOR, "");
    return { kind: "value", field, prefix: unquoted(value), start: caret - value.length, end: rest };
  }
  if (quote || token.startsWith('"')) return undefined;
  const prefix = token.replace(/^-/, "");
  const end = caret + (/^[^\s()":=<>!]*/.exec(text.slice(caret))?.[0].length ?? 0);
  return { kind: "field", field: "", prefix, start: caret - prefix.length, end };
}

export interface Edited {
  text: string;
  caret: number;
}

/** The text with this name or value in the place of what was being written, and where the caret is then. */
export function completed(text: string, writing: Writing, chosen: string): Edited {
  const rest = text.slice(writing.end);
  let written: string;
  if (writing.kind === "field") written = fieldName(chosen) + (/^(?:!=|>=|<=|[:=<>])/.test(rest) ? "" : ":");
  else written = quoted(chosen) + (rest === "" ? " " : "");
  return { text: text.slice(0, writing.start) + written + rest, caret: writing.start + written.length };
}

export interface Offer {
  value: string;
  /** How many items have it; undefined where nobody has counted. */
  count?: number | undefined;
}

/** The offers that fit what is written: those that begin so first, then those that contain it. */
export function fitting(offers: readonly Offer[], prefix: string, most: number): Offer[] {
  const wanted = prefix.toLowerCase();
  const beginning = offers.filter(({ value }) => value.toLowerCase().startsWith(wanted));
  const within = offers.filter(({ value }) => value.toLowerCase().indexOf(wanted) > 0);
  const found = [...beginning, ...within];
  // What is written in full needs no offer.
  return found.length === 1 && found[0]?.value === prefix ? [] : found.slice(0, most);
}
