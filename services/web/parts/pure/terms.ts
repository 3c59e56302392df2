// The text of a query: terms that clicks add to it, in the words of docs/search.md.

/** A value as a query writes it: bare where that is safe, otherwise in quotes. */
export function quoted(value: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_./-]*$/.test(value) && !/^(and|or|not)$/i.test(value)) return value;
  return inQuotes(value);
}

const inQuotes = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** A field's name as a query writes it. */
export const fieldName = (name: string): string => (/^[A-Za-z_][A-Za-z0-9_.\-/]*$/.test(name) ? name : inQuotes(name));

/** The term that finds what has this value; undefined for values that no term can name. */
export function term(field: string, value: unknown, exclude = false): string | undefined {
  const name = `${exclude ? "-" : ""}${fieldName(field)}`;
  if (typeof value === "string") return value === "" ? undefined : `${name}:${quoted(value)}`;
  if (typeof value === "number" || typeof value === "boolean") return `${name}:${quoted(String(value))}`;
  return undefined;
}

/** A part of a query that stands by itself: a word, a term, or what is in parentheses, with its NOT. */
export interface Piece {
  text: string;
  start: number;
  end: number;
}

const QUOTED = /"(?:\\[\s\S]|[^"\\])*"?/y;
const REGEX = /\/(?!\s)(?:[^/\\]|\\[\s\S])+\/(?=[\s)]|$)/y;

function endOf(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  return found ? at + found[0].length : undefined;
}

/** Where the quoted text or the regular expression ends that begins here; undefined if none does. */
function endOfLiteral(text: string, at: number): number | undefined {
  if (text[at] === '"') return endOf(QUOTED, text, at);
  return text[at] === "/" && /[:=(\s]/.test(text[at - 1] ?? "") ? endOf(REGEX, text, at) : undefined;
}

function endOfParentheses(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const literal = endOfLiteral(text, at);
    if (literal !== undefined) {
      at = literal;
      continue;
    }
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    at += 1;
    if (depth === 0) break;
  }
  return at;
}

function endOfPiece(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[\s)]/.test(text[at] ?? "")) {
    const literal = endOfLiteral(text, at);
    if (literal !== undefined) at = literal;
    else if (text[at] !== "(") at += 1;
    else if (at > start && !/^-$|[:=<>]$/.test(text.slice(start, at))) return at;
    else return endOfParentheses(text, at);
  }
  // A parenthesis that closes nothing stands by itself.
  return Math.max(at, start + 1);
}

/** The parts of a query, and whether they are alternatives, of which one must hold. */
export function pieces(query: string): { all: Piece[]; areAlternatives: boolean } {
  const all: Piece[] = [];
  let areAlternatives = false;
  let negatedFrom: number | undefined;
  for (let at = 0; at < query.length; ) {
    if (/\s/.test(query[at] ?? "")) {
      at += 1;
      continue;
    }
    const end = endOfPiece(query, at);
    const text = query.slice(at, end);
    if (text === "NOT") negatedFrom ??= at;
    else if (text === "OR") areAlternatives = true;
    else if (text !== "AND") {
      const start = negatedFrom ?? at;
      all.push({ text: query.slice(start, end), start, end });
      negatedFrom = undefined;
    }
    at = end;
  }
  return { all, areAlternatives };
}

/** What a piece says without its negation, and whether it has one. */
function unsigned(text: string): { bare: string; isNegated: boolean } {
  const bare = text.replace(/^(?:-|NOT\s+)/, "");
  return { bare, isNegated: bare !== text };
}

/** The query with one more term; the same query if it has the term already. A term and its opposite replace each other. */
export function withTerm(query: string, added: string): string {
  const { all, areAlternatives } = pieces(query);
  if (all.length === 0) return added;
  if (areAlternatives) return `(${query.trim()}) ${added}`;
  const wanted = unsigned(added);
  const same = all.map(({ text }) => unsigned(text)).filter(({ bare }) => bare === wanted.bare);
  if (same.some(({ isNegated }) => isNegated === wanted.isNegated)) return query;
  if (same.length === 0) return `${query.trim()} ${added}`;
  const kept = all.filter(({ text }) => unsigned(text).bare !== wanted.bare);
  return [...kept.map(({ text }) => text), added].join(" ");
}

/** The query without the pieces that `is` names. A query of alternatives stays as it is: none of them narrows it. */
export function without(query: string, is: (text: string) => boolean): string {
  const { all, areAlternatives } = pieces(query);
  if (areAlternatives || !all.some(({ text }) => is(text))) return query;
  return all
    .filter(({ text }) => !is(text))
    .map(({ text }) => text)
    .join(" ");
}

/** Whether a piece asks for values of this field, and does not exclude some. */
export const asksFor = (piece: string, field: string): boolean =>
  [":", "="].some((sign) => piece.startsWith(`${fieldName(field)}${sign}`));

/** Whether a piece includes or excludes values of this field. */
export const isOf = (piece: string, field: string): boolean => asksFor(unsigned(piece).bare, field);

/** Whether a query includes a term, or excludes it. */
export function stands(query: string, wanted: string): "in" | "out" | undefined {
  const { all, areAlternatives } = pieces(query);
  const found = areAlternatives ? undefined : all.map(({ text }) => unsigned(text)).find(({ bare }) => bare === wanted);
  return found && (found.isNegated ? "out" : "in");
}

/** The query with this as the one value that a field may have; without it if it is that already. */
export function withValue(query: string, field: string, added: string): string {
  const { all, areAlternatives } = pieces(query);
  if (!areAlternatives && all.some(({ text }) => text === added)) return without(query, (text) => text === added);
  return withTerm(
    without(query, (text) => asksFor(text, field)),
    added,
  );
}

const REGEX_CHARS_MAX = 480;

/** The term that finds the records of a pattern, such as "took <*> ms"; undefined for one that says nothing. */
export function patternTerm(pattern: string): string | undefined {
  const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replace(/\s+/g, "\\s+");
  let found = "";
  for (const part of pattern.split("<*>").map(literal)) {
    const longer = found === "" ? part : `${found}.*${part}`;
    if (longer.length > REGEX_CHARS_MAX) break;
    found = longer;
  }
  found = found.replace(/(?:\.\*|\\s\+)+$/, "").replace(/^(?:\.\*|\\s\+)+/, "");
  return found === "" ? undefined : `body:/${found}/`;
}
