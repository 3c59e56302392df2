import { useState } from "react";

/** A switch that this browser keeps. */
export function useKept(name: string, initially: boolean): [boolean, (on: boolean) => void] {
  const key = `duoscope.${name}`;
  const [on, setOn] = useState(() => (localStorage.getItem(key) ?? (initially ? "on" : "off")) === "on");
  const keep = (next: boolean): void => {
    localStorage.setItem(key, next ? "on" : "off");
    setOn(next);
  };
  return [on, keep];
}
