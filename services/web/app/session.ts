// Who is logged in, in this tab. The access token is a variable here and nowhere else; the refresh token is in a cookie
// that no script reads. Tabs take turns to refresh, and tell one another when the session has ended.
import { useSyncExternalStore } from "react";
import { answered, api, BASE, openApi, sendThrough } from "../api/client";
import { ApiError, asApiError } from "../api/errors";
import type { Me, Places } from "../api/schema";
import { coloursOf } from "../parts/pure/colours";
import { forgetAll } from "../parts/query/memory";

/** How the session stands. `ended`: it was there, and what is on the page is kept until the person is back. */
export type Standing = "starting" | "out" | "in" | "ended" | "enrol" | "code" | "unreachable";

export interface Session {
  standing: Standing;
  me: Me | undefined;
  places: Places["items"];
  /** The end of a password that duoscope made, if the login used one. */
  passwordExpiresAt: string | undefined;
  /** Whether the API wants to know once more who this is, before it does what was asked. */
  isProofWanted: boolean;
}

const REFRESH_BEFORE_MS = 30_000;
const channel = new BroadcastChannel("duoscope");

/** Says only that this browser had a session, so that nobody asks for one in vain; the token is elsewhere. */
const HINT = "duoscope.session";

let session: Session = {
  standing: "starting",
  me: undefined,
  places: [],
  passwordExpiresAt: undefined,
  isProofWanted: false,
};
let access: { token: string; expiresAt: number } | undefined;
let wanted: string | undefined;
let made: string | undefined;
const listeners = new Set<() => void>();
const onTenantSwitch = new Set<() => void>();

function set(change: Partial<Session>): void {
  session = { ...session, ...change };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useSession = (): Session => useSyncExternalStore(subscribe, () => session);

/** Whether whoever is logged in may do something here. */
export const mayI = (permission: string): boolean => session.me?.permissions.includes(permission) ?? false;

/** Has `listener` called when the tenant of this tab changes: caches of the former one must go. */
export function whenTenantSwitches(listener: () => void): void {
  onTenantSwitch.add(listener);
}

function take(tokens: { access_token: string; expires_in: number }): void {
  access = { token: tokens.access_token, expiresAt: Date.now() + tokens.expires_in * 1000 };
}

let turn: Promise<void> = Promise.resolve();

/** Web Locks need https or localhost. Elsewhere this tab queues, and the API answers a token twice for ten seconds. */
async function inTurn(work: () => Promise<void>): Promise<void> {
  if (isSecureContext) return await navigator.locks.request("duoscope-refresh", work);
  turn = turn.catch(() => undefined).then(work);
  return turn;
}

/** Gets a new access token; one tab at a time, since a refresh token works once. */
async function refresh(): Promise<void> {
  await inTurn(async () => {
    if (access !== undefined && access.expiresAt - Date.now() > REFRESH_BEFORE_MS) return;
    const body = wanted === undefined ? { cookie: true } : { cookie: true, tenant_id: wanted };
    take(await answered(openApi.POST("/api/v1/auth/refresh", { body })));
  });
}

let learning = 0;

async function learnWhoIAm(): Promise<void> {
  const mine = ++learning;
  const former = session.me?.user_id;
  const me = await answered(api.GET("/api/v1/auth/me"));
  if (mine !== learning) return;
  wanted = me.tenant_id;
  if (former !== undefined && former !== me.user_id) {
    forgetAll();
    for (const listener of onTenantSwitch) listener();
  }
  coloursOf(me.tenant_id, localStorage);
  set({ me });
  const places = await answered(api.GET("/api/v1/auth/tenants"));
  if (mine === learning) set({ places: places.items });
}

/** Continues the session of this browser, if it has one. */
export async function start(tenantId?: string): Promise<void> {
  wanted = tenantId;
  if (localStorage.getItem(HINT) === null) return set({ standing: "out" });
  try {
    await refresh();
    await enter();
  } catch (error) {
    const problem = asApiError(error);
    if (problem.status === 404 && tenantId !== undefined) return start();
    const isOver = problem.status === 401 || problem.status === 403;
    if (isOver) {
      localStorage.removeItem(HINT);
      forgetAll();
    }
    set({ standing: isOver ? "out" : "unreachable" });
  }
}

async function enter(): Promise<void> {
  try {
    await learnWhoIAm();
    set({ standing: "in" });
  } catch (error) {
    const { code } = asApiError(error);
    if (code !== "mfa-enrolment-required" && code !== "mfa-required") throw error;
    // Whoever came through a provider may have a second factor here.
    set({ standing: code === "mfa-required" ? "code" : "enrol" });
  }
}

export interface Credentials {
  email: string;
  password: string;
  code?: string;
}

/** Logs in. Raises an ApiError; `mfa-required` asks for the code. */
export async function logIn({ email, password, code }: Credentials): Promise<void> {
  const body = {
    email,
    password,
    cookie: true,
    ...(code ? { mfa_code: code } : {}),
    ...(session.me && session.standing === "ended" ? { tenant_id: session.me.tenant_id } : {}),
  };
  const tokens = await answered(openApi.POST("/api/v1/auth/login", { body }));
  take(tokens);
  hasTyped = true;
  localStorage.setItem(HINT, "yes");
  // Whoever comes back to a page goes on with it; the question can wait for the next login.
  const asks = session.standing !== "ended" && tokens.password_expires_at !== undefined;
  made = asks ? password : undefined;
  set({ passwordExpiresAt: asks ? tokens.password_expires_at : undefined });
  await enter();
  channel.postMessage("in");
}

const RETURN_CHARS_MAX = 1_024;

/** Goes to an organization's identity provider, which sends the browser back here. Raises an ApiError. */
export async function logInThrough(slug: string): Promise<void> {
  const here = location.pathname.slice(BASE.length - 1) + location.search;
  const body = { return_to: here.length > RETURN_CHARS_MAX || /[?&]problem=/.test(here) ? "/" : here };
  const params = { path: { slug } };
  const begun = await answered(openApi.POST("/api/v1/auth/oidc/{slug}/start", { params, body }));
  // Whoever comes back has a session to go on with, or is told that they have none.
  localStorage.setItem(HINT, "yes");
  location.assign(begun.location);
}

/** Ends the session, in all tabs. */
export async function logOut(): Promise<void> {
  try {
    await answered(api.POST("/api/v1/auth/logout", { body: { cookie: true } }));
  } catch (error) {
    // Whoever sees no login page is still logged in.
    if (asApiError(error).status !== 401) return set({ standing: "unreachable" });
  }
  leave();
  channel.postMessage("out");
}

function leave(): void {
  access = undefined;
  wanted = undefined;
  made = undefined;
  hasTyped = false;
  localStorage.removeItem(HINT);
  forgetAll();
  for (const listener of onTenantSwitch) listener();
  proven?.(false);
  set({ standing: "out", me: undefined, places: [], passwordExpiresAt: undefined });
}

/** Ends all sessions of the person, in all browsers. Raises an ApiError. */
export async function logOutEverywhere(): Promise<void> {
  await answered(api.DELETE("/api/v1/sessions"));
  leave();
  channel.postMessage("out");
}

let proving: Promise<boolean> | undefined;
let proven: ((isProven: boolean) => void) | undefined;

/** Asks who this is; whoever else wants to know meanwhile waits for the same answer. */
function wantProof(): Promise<boolean> {
  proving ??= new Promise<boolean>((resolve) => {
    proven = resolve;
    set({ isProofWanted: true });
  }).finally(() => {
    proving = undefined;
    proven = undefined;
    set({ isProofWanted: false });
  });
  return proving;
}

/** Shows who this is, so that what was asked goes on. Raises an ApiError. */
export async function prove({ password, code }: { password: string; code: string }): Promise<void> {
  const body = { cookie: true, ...(password ? { password } : {}), ...(code ? { mfa_code: code } : {}) };
  take(await answered(api.POST("/api/v1/auth/reauthenticate", { body })));
  hasTyped ||= password !== "";
  proven?.(true);
}

/** Leaves what was asked undone. */
export const giveUpProof = (): void => proven?.(false);

async function wantsProof(response: Response): Promise<boolean> {
  if (response.status !== 403) return false;
  const said: unknown = await response
    .clone()
    .json()
    .catch(() => undefined);
  return (said as { code?: unknown } | undefined)?.code === "reauthentication-required";
}

/** Whether this tab works in a tenant, and is not on its way into another one. */
export const isIn = (tenantId: string): boolean => session.me?.tenant_id === tenantId && wanted === tenantId;

let asked: string | undefined;

/** Works in another tenant from now on. Raises an ApiError where the person has no role there. */
export async function switchTenant(tenantId: string): Promise<void> {
  asked = tenantId;
  if (isIn(tenantId)) return;
  const switched = await answered(api.POST("/api/v1/auth/switch", { body: { tenant_id: tenantId } }));
  if (asked !== tenantId) return; // somebody went on to another one, or back
  take(switched);
  wanted = tenantId;
  for (const listener of onTenantSwitch) listener();
  await learnWhoIAm();
}

/** Says that the made password was replaced, or that this can wait. */
export function passwordSettled(): void {
  made = undefined;
  set({ passwordExpiresAt: undefined });
}

/** The made password that this tab has just logged in with, so that nobody types it twice. */
export const madePassword = (): string => made ?? "";

let hasTyped = false;

/** Whether this tab logged in with a password; whoever came through a provider may have none. */
export const hasTypedPassword = (): boolean => hasTyped;

/** Shows the second factor of whoever came through a provider. Raises an ApiError. */
export async function showCode(code: string): Promise<void> {
  const body = { mfa_code: code, cookie: true };
  take(await answered(api.POST("/api/v1/auth/reauthenticate", { body })));
  await enter();
}

/** Goes on after a second factor was enrolled. */
export async function enrolled(): Promise<void> {
  await enter();
}

async function authorized(request: Request): Promise<Response> {
  if (access === undefined || access.expiresAt - Date.now() < REFRESH_BEFORE_MS) await refreshOrEnd();
  const [again, later] = [request.clone(), request.clone()];
  let response = await fetch(withToken(request));
  if (response.status === 401) {
    access = undefined;
    await refreshOrEnd();
    response = await fetch(withToken(again));
  }
  if (!(await wantsProof(response)) || !(await wantProof())) return response;
  return fetch(withToken(later));
}

function withToken(request: Request): Request {
  request.headers.set("authorization", `Bearer ${access?.token ?? ""}`);
  return request;
}

async function refreshOrEnd(): Promise<void> {
  try {
    await refresh();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401 && session.standing === "in") set({ standing: "ended" });
    throw error;
  }
}

sendThrough(authorized);

channel.addEventListener("message", ({ data }) => {
  if (data === "out" && session.standing !== "out") leave();
  if (data === "in" && (session.standing === "out" || session.standing === "ended")) void start(session.me?.tenant_id);
});
