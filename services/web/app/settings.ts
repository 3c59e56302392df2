// What people have chosen for themselves: at once in this browser, and kept with their account for the others.
import { useSyncExternalStore } from "react";
import { answered, api } from "../api/client";
import type { SavedView, UserSettings } from "../api/schema";
import { switchSingleKeys } from "./keys";
import { chooseTheme, type Theme } from "./theme";

/** Takes over what the account has, where this browser has something else. */
export async function takeSettings(): Promise<void> {
  // They may be of somebody who was here before.
  showViews([]);
  try {
    const { settings } = await answered(api.GET("/api/v1/users/me"));
    apply(settings);
  } catch {
    // What this browser has is good enough; whoever has no session is told elsewhere.
  }
}

let views: readonly SavedView[] = [];
const listeners = new Set<() => void>();

function showViews(next: readonly SavedView[]): void {
  views = next;
  for (const listener of listeners) listener();
}

function apply({ theme, single_keys: singleKeys, views: kept }: UserSettings): void {
  showViews(kept ?? []);
  chooseTheme(theme ?? "system");
  switchSingleKeys(singleKeys ?? true);
}

function keep(settings: { theme?: Theme; single_keys?: boolean; views?: SavedView[] }): void {
  // It is chosen already; if the account cannot keep it, the next choice tries again.
  answered(api.PATCH("/api/v1/users/me", { body: { settings } })).catch(() => undefined);
}

export function chooseMyTheme(theme: Theme): void {
  chooseTheme(theme);
  keep({ theme });
}

export function switchMySingleKeys(on: boolean): void {
  switchSingleKeys(on);
  keep({ single_keys: on });
}

/** Of these the oldest gives way to another one. */
const VIEWS_MAX = 20;

/** The views that were kept, of all tenants, the newest last. */
export const useViews = (): readonly SavedView[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => views,
  );

const isSame = (one: SavedView, other: SavedView): boolean =>
  one.tenant_id === other.tenant_id && one.name === other.name;

/** Keeps a view; another one of its name gives way. */
export function keepView(view: SavedView): void {
  const next = [...views.filter((one) => !isSame(one, view)), view].slice(-VIEWS_MAX);
  showViews(next);
  keep({ views: next });
}

export function forgetView(view: SavedView): void {
  const next = views.filter((one) => !isSame(one, view));
  showViews(next);
  keep({ views: next });
}
