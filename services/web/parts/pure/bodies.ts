// A body of a record that is an object, or JSON that somebody wrote as text, as lines of path and value.

export interface Leaf {
  /** The way to the value: names with dots, places of lists as numbers. */
  path: string;
  value: unknown;
}

export interface Unfolded {
  leaves: readonly Leaf[];
  /** Whether the body itself has parts, which a query can name; of JSON in a text it cannot. */
  isStructured: boolean;
  /** How many leaves there are beyond those. */
  more: number;
}

const LEAVES_MAX = 300;
const TEXT_CHARS_MAX = 200_000;

/** The leaves of a body that has parts; undefined for any other. */
export function unfolded(body: unknown): Unfolded | undefined {
  const isStructured = typeof body === "object" && body !== null;
  const whole = isStructured ? body : typeof body === "string" ? parsed(body) : undefined;
  if (typeof whole !== "object" || whole === null || Object.keys(whole).length === 0) return undefined;
  const leaves: Leaf[] = [];
  let more = 0;
  // A body may be nested as deep as it is long.
  const left: Leaf[] = entries("", whole);
  while (left.length > 0) {
    const next = left.pop();
    if (next === undefined) break;
    const { path, value } = next;
    if (typeof value === "object" && value !== null && Object.keys(value).length > 0)
      left.push(...entries(path, value));
    else if (leaves.length < LEAVES_MAX) leaves.push(next);
    else more += 1;
  }
  return { leaves, isStructured, more };
}

/** The entries of an object or a list, the last one first. */
const entries = (above: string, value: object): Leaf[] =>
  Object.entries(value)
    .map(([name, of]) => ({ path: above === "" ? name : `${above}.${name}`, value: of as unknown }))
    .reverse();

function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text) || text.length > TEXT_CHARS_MAX) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
