import { type RefObject, useEffect, useRef } from "react";

const PER_PX = 0.0025;
const STEP_PX_MAX = 120;

/** Has the wheel zoom over an element: `onZoom` gets by how much, and about which share of its width. Where `withCtrl`,
 * the wheel alone scrolls as ever. */
export function useWheelZoom(
  element: RefObject<HTMLElement | null>,
  withCtrl: boolean,
  onZoom: (factor: number, share: number, event: WheelEvent) => void,
): void {
  const latest = useRef(onZoom);
  useEffect(() => {
    latest.current = onZoom;
  });
  useEffect(() => {
    const here = element.current;
    if (!here) return;
    const onWheel = (event: WheelEvent): void => {
      if (withCtrl !== (event.ctrlKey || event.metaKey) || event.deltaY === 0) return;
      event.preventDefault();
      const { left, width } = here.getBoundingClientRect();
      const px = Math.max(-STEP_PX_MAX, Math.min(STEP_PX_MAX, event.deltaY));
      const share = Math.max(0, Math.min(1, (event.clientX - left) / width));
      latest.current(Math.exp(-px * PER_PX), share, event);
    };
    // React listens passively, and then the page would zoom or scroll as well.
    here.addEventListener("wheel", onWheel, { passive: false });
    return () => here.removeEventListener("wheel", onWheel);
  }, [element, withCtrl]);
}
