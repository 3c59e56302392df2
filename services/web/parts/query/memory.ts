// What a browser remembers of a tenant between visits, until the logout: queries that ran, newest first, and fields that
// somebody has pinned.
const PREFIX = "duoscope.of.";
const KEPT_MAX = 50;
const CHARS_MAX = 2_000;

type Kind = "queries" | "pins";

/** What is remembered. */
export function remembered(kind: Kind, tenantId: string, signal: string): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(`${PREFIX}${tenantId}.${kind}.${signal}`) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one): one is string => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Remembers these. */
export function remember(kind: Kind, tenantId: string, signal: string, texts: readonly string[]): void {
  localStorage.setItem(`${PREFIX}${tenantId}.${kind}.${signal}`, JSON.stringify(texts.slice(0, KEPT_MAX)));
}

/** Remembers a query as the newest. */
export function rememberQuery(tenantId: string, signal: string, query: string): void {
  if (query === "" || query.length > CHARS_MAX) return;
  const others = remembered("queries", tenantId, signal).filter((one) => one !== query);
  remember("queries", tenantId, signal, [query, ...others]);
}

/** Forgets everything of all tenants. */
export function forgetAll(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}
