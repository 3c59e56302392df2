import { useCallback, useEffect, useRef, useState } from "react";

const PAUSE_MS = 250;

/** The text of an input that the URL keeps: what was typed is there at once, and in the URL after a pause. */
export function useDraft(kept: string, keep: (text: string) => void): [string, (text: string) => void] {
  const [draft, setDraft] = useState(kept);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(keep);
  useEffect(() => {
    latest.current = keep;
  });
  useEffect(() => {
    if (timer.current === undefined) setDraft(kept);
  }, [kept]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = useCallback((text: string) => {
    setDraft(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = undefined;
      latest.current(text);
    }, PAUSE_MS);
  }, []);
  return [draft, type];
}
