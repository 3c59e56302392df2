import { type PointerEvent, type ReactNode, useCallback, useRef, useState } from "react";
import { type Brush, useCanvas } from "../../charts/useCanvas";
import { serviceColour } from "../../parts/pure/colours";
import type { Places, TraceModel } from "./model";
import styles from "./Trace.module.css";
import { useWheelZoom } from "./useWheelZoom";

export interface View {
  from: number;
  to: number;
}

interface MinimapProps {
  model: TraceModel;
  places: Places;
  view: View;
  onView: (view: View) => void;
  /** Zooms about a place of the whole trace. */
  onZoom: (factor: number, around: number) => void;
}

const LEAST_SHARE = 0.002;

/** The whole trace in small. Dragging chooses the part that the waterfall shows, the wheel zooms, a double click shows
 * all again. */
export function Minimap({ model, places, view, onView, onZoom }: MinimapProps): ReactNode {
  const [drag, setDrag] = useState<number>();
  const frame = useRef<HTMLDivElement>(null);
  const length = places.scale.length;
  const draw = useCallback((brush: Brush) => paint(brush, model, places), [model, places]);
  const canvas = useCanvas(draw);
  useWheelZoom(frame, false, (factor, share) => onZoom(factor, share * length));

  const placeOf = (event: PointerEvent<HTMLDivElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * length;
  };
  const isZoomed = view.from > 0 || view.to < length;
  return (
    <div
      ref={frame}
      className={styles.map}
      title="Drag or turn the wheel to zoom, double click to see all"
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
        if (to - from > length * LEAST_SHARE) onView({ from, to });
      }}
      onPointerUp={() => setDrag(undefined)}
      onPointerCancel={() => setDrag(undefined)}
      onDoubleClick={() => onView({ from: 0, to: length })}
    >
      <canvas ref={canvas} />
      {isZoomed ? (
        <div
          className={styles.window}
          style={{
            left: `${(view.from / length) * 100}%`,
            width: `${((view.to - view.from) / length) * 100}%`,
          }}
        />
      ) : null}
    </div>
  );
}

const SERVICES = 8;
const FAILED = 9;
const FAILED_PX = 2;
const PADDING = 4;

/** Draws every span as a line. Where there are more spans than lines of pixels, each pixel is drawn once: by what failed
 * there, or else by the first. */
function paint({ context, width, height, colour }: Brush, model: TraceModel, { scale, left, right }: Places): void {
  const colours = Array.from({ length: SERVICES }, (_, index) => colour(`service-${index}`));
  const failed = colour("error-fill");
  const total = model.rows.length;
  const perPlace = width / scale.length;
  const inner = height - 2 * PADDING;
  if (total <= inner) {
    const step = inner / Math.max(total, 12);
    for (let at = 0; at < total; at += 1) {
      const row = model.rows[at];
      if (!row) continue;
      context.fillStyle = row.failed ? failed : (colours[serviceColour(row.service)] ?? failed);
      const x = (left[at] ?? 0) * perPlace;
      const wide = Math.max(1, ((right[at] ?? 0) - (left[at] ?? 0)) * perPlace);
      context.fillRect(x, PADDING + at * step, wide, Math.max(1, step * 0.7));
    }
    return;
  }
  const columns = Math.ceil(width);
  const cells = new Uint8Array(columns * Math.ceil(inner));
  const numbers = new Map(model.services.map((name) => [name, serviceColour(name) + 1]));
  for (let at = 0; at < total; at += 1) {
    const row = model.rows[at];
    if (!row) continue;
    const line = Math.floor((at / total) * inner) * columns;
    const number = row.failed ? FAILED : (numbers.get(row.service) ?? 1);
    const first = Math.max(0, Math.floor((left[at] ?? 0) * perPlace));
    // An error is seen, however short it was.
    const least = number === FAILED ? first + FAILED_PX : first;
    const last = Math.min(columns - 1, Math.max(least, Math.floor((right[at] ?? 0) * perPlace)));
    for (let x = first; x <= last; x += 1) {
      if (cells[line + x] === 0 || number === FAILED) cells[line + x] = number;
    }
  }
  for (let y = 0; y < inner; y += 1) {
    for (let x = 0; x < columns; ) {
      const number = cells[y * columns + x] ?? 0;
      let end = x + 1;
      while (end < columns && cells[y * columns + end] === number) end += 1;
      if (number > 0) {
        context.fillStyle = number === FAILED ? failed : (colours[number - 1] ?? failed);
        context.fillRect(x, PADDING + y, end - x, 1);
      }
      x = end;
    }
  }
}
