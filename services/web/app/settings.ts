// What people have chosen for themselves: at once in this browser, and kept with their account for the others.
import { answered, api } from "../api/client";
import type { UserSettings } from "../api/schema";
import { switchSingleKeys } from "./keys";
import { chooseTheme, type Theme } from "./theme";

/** Takes over what the account has, where this browser has something else. */
export async function takeSettings(): Promise<void> {
  try {
    const { settings } = await answered(api.GET("/api/v1/users/me"));
    apply(settings);
  } catch {
    // What this browser has is good enough; whoever has no session is told elsewhere.
  }
}

function apply({ theme, single_keys: singleKeys }: UserSettings): void {
  chooseTheme(theme ?? "system");
  switchSingleKeys(singleKeys ?? true);
}

function keep(settings: { theme?: Theme; single_keys?: boolean }): void {
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
