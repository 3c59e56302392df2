import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const KEY = "duoscope.theme";
const listeners = new Set<() => void>();

function current(): Theme {
  const said = document.documentElement.dataset.theme;
  return said === "light" || said === "dark" ? said : "system";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }
  for (const listener of listeners) listener();
}

export const useTheme = (): Theme =>
  useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
