// The one registry of keys. Pages and parts say which key does what; the help card is made from it.
import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Shortcut {
  keys: string;
  what: string;
  run: () => void;
}

let registered: readonly Shortcut[] = [];
let prefix = "";
let prefixTimer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function announce(next: readonly Shortcut[]): void {
  registered = next;
  for (const listener of listeners) listener();
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

const isOnControl = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest("button, a, [role=menuitem], dialog, [role=dialog]") !== null;

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) return;
  if (event.key === "Enter" && isOnControl(event.target)) return;
  const pressed = prefix === "" ? event.key : `${prefix} ${event.key}`;
  clearTimeout(prefixTimer);
  prefix = "";
  // The latest to register wins: what lies on top.
  const found = registered.findLast(({ keys }) => keys === pressed);
  if (found) {
    event.preventDefault();
    found.run();
  } else if (registered.some(({ keys }) => keys.startsWith(`${pressed} `))) {
    prefix = pressed;
    prefixTimer = setTimeout(() => {
      prefix = "";
    }, 1_500);
  }
}

window.addEventListener("keydown", onKey);

/** Has these keys while the component is there. */
export function useKeys(shortcuts: readonly Shortcut[]): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  const names = shortcuts.map(({ keys, what }) => `${keys}\0${what}`).join("\n");
  useEffect(() => {
    const mine = names
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [keys = "", what = ""] = line.split("\0");
        return { keys, what, run: () => latest.current.find((one) => one.keys === keys)?.run() };
      });
    announce([...registered, ...mine]);
    return () => announce(registered.filter((one) => !mine.includes(one)));
  }, [names]);
}

/** All keys that work now, for the help card. */
export const useAllKeys = (): readonly Shortcut[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => registered,
  );
