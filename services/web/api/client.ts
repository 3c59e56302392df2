// The API, typed by its own OpenAPI document. Requests carry the access token of this tab; see app/session.ts.
import createClient from "openapi-fetch";
import { ApiError } from "./errors";
import type { Problem, paths } from "./schema";

/** Where duoscope is: the path of its public address, with a slash at the end. */
export const BASE = new URL(
  document.querySelector<HTMLMetaElement>('meta[name="duoscope-base"]')?.content ?? "/",
  `${location.origin}/`,
).pathname;

type Fetch = (request: Request) => Promise<Response>;

let send: Fetch = (request) => fetch(request);

/** Lets the session send the requests, since it has the token. */
export function sendThrough(authorized: Fetch): void {
  send = authorized;
}

const baseUrl = `${location.origin}${BASE}`.replace(/\/$/, "");

/** Requests of whoever is logged in. */
export const api = createClient<paths>({ baseUrl, fetch: (request) => send(request) });

/** Requests without a token: those that get one. */
export const openApi = createClient<paths>({ baseUrl, credentials: "same-origin" });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer of a request, or its problem as an exception. */
export async function answered<T>(request: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await request;
  if (response.ok) return data as T;
  throw new ApiError((error ?? {}) as Partial<Problem>, response.status, response.headers.get("retry-after"));
}
