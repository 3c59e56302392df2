// The text of a query: terms that clicks add to it, in the words of docs/search.md.

/** A value as a query writes it: bare where that is safe, otherwise in quotes. */
export function quoted(value: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_./-]*$/.test(value) && !/^(and|or|not)$/i.test(value)) return value;
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The term that finds what has this value; undefined for values that no term can name. */
export function term(field: string, value: unknown, exclude = false): string | undefined {
  const sign = exclude ? "-" : "";
  const name = /^[A-Za-z_][A-Za-z0-9_.\-/]*$/.test(field) ? field : `"${field.replaceAll('"', '\\"')}"`;
  if (typeof value === "string") return value === "" ? undefined : `${sign}${name}:${quoted(value)}`;
  if (typeof value === "number" || typeof value === "boolean") return `${sign}${name}:${quoted(String(value))}`;
  return undefined;
}

/** The query with one more term; the same query if it has the term already. A term and its opposite replace each other. */
export function withTerm(query: string, added: string): string {
  const opposite = added.startsWith("-") ? added.slice(1) : `-${added}`;
  const words = terms(query);
  if (words.includes(added)) return query;
  const kept = words.includes(opposite) ? words.filter((word) => word !== opposite).join(" ") : query.trim();
  const needsParentheses = /(^|\s)OR(\s|$)/.test(kept) && !/^\(.*\)$/.test(kept);
  return [needsParentheses ? `(${kept})` : kept, added].filter((part) => part !== "").join(" ");
}

/** The words of a query, with quoted parts whole. */
export const terms = (query: string): string[] => query.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? [];
