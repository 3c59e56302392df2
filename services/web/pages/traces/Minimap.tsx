import { type PointerEvent, type ReactNode, useCallback, useState } from "react";
import { type Brush, useCanvas } from "../../charts/useCanvas";
import { serviceColour } from "../../parts/pure/colours";
import type { TraceModel } from "./model";
import styles from "./Trace.module.css";

export interface View {
  from: number;
  to: number;
}

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
  const [drag, setDrag] = useState<number>();
  const draw = useCallback((brush: Brush) => paint(brush, model), [model]);
  const canvas = useCanvas(draw);

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

function paint({ context, width, height, colour }: Brush, model: TraceModel): void {
  const colours = Array.from({ length: SERVICES }, (_, index) => colour(`service-${index}`));
  const failed = colour("error-fill");
  const rows = model.rows.length;
  const step = (height - 8) / Math.max(rows, 12);
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
