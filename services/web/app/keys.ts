// The one registry of keys. Pages and parts say which key does what; the help card is made from it.
import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Shortcut {
  keys: string;
  what: string;
  run: () => void;
}

const OFF = "duoscope.keys";

let registered: readonly Shortcut[] = [];
let areSingleKeysOn = localStorage.getItem(OFF) !== "off";
let prefix = "";
let prefixTimer: ReturnType<typeof setTimeout> | undefined;
let isCovered = false;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function announce(next: readonly Shortcut[]): void {
  registered = next;
  for (const listener of listeners) listener();
}

/** Whether these keys are letters, digits or signs alone, which somebody may press without wanting to. */
export const isSingle = (keys: string): boolean => keys.split(" ").every((key) => key.length === 1);

/** Whether keys without Ctrl or Alt do something; kept in this browser. */
export const useSingleKeys = (): boolean => useSyncExternalStore(subscribe, () => areSingleKeysOn);

export function switchSingleKeys(on: boolean): void {
  areSingleKeysOn = on;
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "off");
  announce(registered);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

const isWithin = (target: EventTarget | null, selector: string): boolean =>
  target instanceof Element && target.closest(selector) !== null;

/** Whether the control that has the focus takes this key itself. */
function isOfControl({ key, target }: KeyboardEvent): boolean {
  if (key === "Enter" || key === " ") return isWithin(target, "button, a, summary, [role=option]");
  return key.startsWith("Arrow") && target instanceof Element && target.matches("[role=region]");
}

/** Keys with Ctrl, or ⌘, work wherever one writes. */
function withCtrl({ ctrlKey, metaKey, altKey, shiftKey, key }: KeyboardEvent): Shortcut | undefined {
  if (ctrlKey === metaKey || altKey || shiftKey) return undefined;
  return registered.findLast(({ keys }) => keys === `Ctrl-${key.toUpperCase()}`);
}

function onKey(event: KeyboardEvent): void {
  const pressedWithCtrl = isCovered ? undefined : withCtrl(event);
  if (pressedWithCtrl) {
    event.preventDefault();
    pressedWithCtrl.run();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isCovered) return;
  if (isTyping(event.target) || isOfControl(event)) return;
  const key = event.key === " " ? "Space" : event.key;
  const pressed = prefix === "" ? key : `${prefix} ${key}`;
  clearTimeout(prefixTimer);
  prefix = "";
  if (!areSingleKeysOn && isSingle(pressed)) return;
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

// Looked at before anybody else has the key: what closes with it still counts as open.
window.addEventListener(
  "keydown",
  () => {
    isCovered = document.querySelector("dialog[open], [role=dialog], [role=alertdialog], [role=menu]") !== null;
  },
  true,
);
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
export const useAllKeys = (): readonly Shortcut[] => useSyncExternalStore(subscribe, () => registered);
