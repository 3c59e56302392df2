import { type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { serviceColour } from "../../parts/pure/colours";

import type { TraceModel } from "./model";
import styles from "./Trace.module.css";

export interface View {
  from: number;
  to: number;
}

const HEIGHT = 56;
const LEAST_SHARE = 0.002;

/** The whole trace in small. Dragging chooses the part that the waterfall shows; a double click shows all again. */
export function Minimap({
  model,
  view,
  onView,
}: {
  model: TraceModel;
  view: View;
  onView: (view: View) => void;
}): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<number>();
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const draw = (): void => paint(element, model);
    draw();
    const watcher = new ResizeObserver(draw);
    watcher.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    const theme = new MutationObserver(draw);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      watcher.disconnect();
      theme.disconnect();
      scheme.removeEventListener("change", draw);
    };
  }, [model]);

  const placeOf = (event: PointerEvent<HTMLDivElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * model.durationNs;
  };
  const isZoomed = view.from > 0 || view.to < model.durationNs;
  return (
    <div
      className={styles.map}
      title="Drag to zoom, double click to see all"
      aria-hidden="true"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag(placeOf(event));
      }}
      onPointerMove={(event) => {
        if (drag === undefined) return;
        const now = placeOf(event);
        const [from, to] = drag < now ? [drag, now] : [now, drag];
        if (to - from > model.durationNs * LEAST_SHARE) onView({ from, to });
      }}
      onPointerUp={() => setDrag(undefined)}
      onPointerCancel={() => setDrag(undefined)}
      onDoubleClick={() => onView({ from: 0, to: model.durationNs })}
    >
      <canvas ref={canvas} />
      {isZoomed ? (
        <div
          className={styles.window}
          style={{
            left: `${(view.from / model.durationNs) * 100}%`,
            width: `${((view.to - view.from) / model.durationNs) * 100}%`,
          }}
        />
      ) : null}
    </div>
  );
}

const SERVICES = 8;

function paint(canvas: HTMLCanvasElement, model: TraceModel): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, HEIGHT);
  // Custom properties keep their functions; a colour that is in use is resolved.
  const probe = document.createElement("span");
  canvas.after(probe);
  const resolved = (token: string): string => {
    probe.style.color = `var(--${token})`;
    return getComputedStyle(probe).color;
  };
  const colours = Array.from({ length: SERVICES }, (_, index) => resolved(`service-${index}`));
  const failed = resolved("error-fill");
  probe.remove();
  const rows = model.rows.length;
  const step = (HEIGHT - 8) / Math.max(rows, 12);
  for (let at = 0; at < rows; at += 1) {
    const row = model.rows[at];
    if (!row) continue;
    context.fillStyle = row.failed ? failed : (colours[serviceColour(row.service)] ?? failed);
    const left = (row.start / model.durationNs) * width;
    context.fillRect(
      left,
      4 + at * step,
      Math.max(1, (row.duration / model.durationNs) * width),
      Math.max(1, step * 0.7),
    );
  }
}
