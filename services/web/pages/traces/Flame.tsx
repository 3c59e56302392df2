import { type MouseEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import captions from "../../charts/caption.module.css";
import { type Brush, useCanvas } from "../../charts/useCanvas";
import { serviceColour } from "../../parts/pure/colours";
import { type FlameLayout, flameLayout } from "../../parts/pure/flame";
import { duration, plain } from "../../parts/pure/formats";
import styles from "./Flame.module.css";
import type { View } from "./Minimap";
import type { Places, TraceModel } from "./model";

interface FlameProps {
  model: TraceModel;
  places: Places;
  chosen: number;
  view: View;
  matches: ReadonlySet<number> | undefined;
  isCriticalOnly: boolean;
  onChoose: (position: number) => void;
}

const LANE_PX = 20;
const TEXT_LEAST_PX = 40;
const SERVICES = 8;
const FAINT = 0.2;

/** The trace as a flame graph: what ran when, callees below their callers. The waterfall has the same for keys. */
export function Flame({ model, places, chosen, view, matches, isCriticalOnly, onChoose }: FlameProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [over, setOver] = useState(-1);
  const layout = useMemo(
    () =>
      flameLayout(
        model.tree.parent,
        model.rows.map((row) => row.start),
        model.rows.map((row) => row.duration),
      ),
    [model],
  );
  const draw = useCallback(
    (brush: Brush) => paint(brush, model, places, layout, view, top, { chosen, matches, isCriticalOnly }),
    [model, places, layout, view, top, chosen, matches, isCriticalOnly],
  );
  const canvas = useCanvas(draw);
  useEffect(() => {
    const element = frame.current;
    if (!element || chosen < 0) return;
    const at = (layout.lane[chosen] ?? 0) * LANE_PX;
    if (at < element.scrollTop || at + LANE_PX > element.scrollTop + element.clientHeight) {
      element.scrollTop = at - element.clientHeight / 2;
    }
  }, [chosen, layout]);
  const spanAt = (event: MouseEvent<HTMLDivElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    const lane = Math.floor((event.clientY - box.top) / LANE_PX);
    const perPx = (view.to - view.from) / box.width;
    const ns = view.from + (event.clientX - box.left) * perPx;
    return found(places, layout, lane, ns, perPx);
  };
  const row = model.rows[over];
  return (
    <div className={styles.flame}>
      <div
        ref={frame}
        className={styles.frame}
        role="region"
        aria-label="Flame graph"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
        tabIndex={0}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <div
          className={styles.space}
          style={{ height: layout.lanes * LANE_PX }}
          aria-hidden="true"
          onPointerMove={(event) => setOver(spanAt(event))}
          onPointerLeave={() => setOver(-1)}
          onClick={(event) => {
            const at = spanAt(event);
            if (at >= 0) onChoose(at);
          }}
        >
          <canvas ref={canvas} className={styles.canvas} data-spans={model.rows.length} />
        </div>
      </div>
      <p className={`${captions.caption} ${styles.said}`}>
        {row ? (
          <>
            <b>
              {plain(row.name)} · {plain(row.service)}
            </b>
            <span>
              {duration(row.duration)}, itself {duration(row.self)}
            </span>
          </>
        ) : (
          <span>The same spans as rows, and for keys, in the waterfall.</span>
        )}
      </p>
    </div>
  );
}

/** The span of a lane at this time, or the nearest one within two pixels; -1 for none. */
function found({ left, right }: Places, { lane }: FlameLayout, wanted: number, x: number, perPx: number): number {
  for (let at = 0; at < left.length; at += 1) {
    if (lane[at] !== wanted) continue;
    if (x >= (left[at] ?? 0) - perPx * 2 && x <= (right[at] ?? 0) + perPx * 2) return at;
  }
  return -1;
}

interface Shown {
  chosen: number;
  matches: ReadonlySet<number> | undefined;
  isCriticalOnly: boolean;
}

function paint(
  { context, width, height, colour }: Brush,
  model: TraceModel,
  places: Places,
  { lane }: FlameLayout,
  { from, to }: View,
  top: number,
  { chosen, matches, isCriticalOnly }: Shown,
): void {
  const colours = Array.from({ length: SERVICES }, (_, index) => colour(`service-${index}`));
  const [failed, ground, ink] = [colour("error-fill"), colour("bg"), colour("fg")];
  const perNs = width / (to - from);
  context.textBaseline = "middle";
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  for (let at = 0; at < model.rows.length; at += 1) {
    const y = (lane[at] ?? 0) * LANE_PX - top;
    if (y + LANE_PX < 0 || y > height) continue;
    const row = model.rows[at];
    if (!row) continue;
    const left = Math.max(0, ((places.left[at] ?? 0) - from) * perNs);
    const right = Math.min(width, ((places.right[at] ?? 0) - from) * perNs);
    if (right < 0 || left > width) continue;
    const wide = Math.max(1, right - left);
    const isDim = (matches !== undefined && !matches.has(at)) || (isCriticalOnly && !row.isCritical);
    context.globalAlpha = isDim ? FAINT : 1;
    // A stripe has the colour, and the text stands on the ground, so that it can be read in any colour.
    context.fillStyle = row.failed ? failed : (colours[serviceColour(row.service)] ?? ink);
    context.fillRect(left, y + 1, wide, LANE_PX - 2);
    if (wide > TEXT_LEAST_PX) {
      context.fillStyle = ground;
      context.globalAlpha = isDim ? FAINT : 0.86;
      context.fillRect(left + 3, y + 2, wide - 4, LANE_PX - 4);
      context.globalAlpha = isDim ? 0.5 : 1;
      context.fillStyle = ink;
      context.fillText(fitted(plain(row.name), wide - 12), left + 7, y + LANE_PX / 2 + 0.5);
    }
    if (at === chosen) {
      context.globalAlpha = 1;
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(left + 1, y + 1, Math.max(2, wide - 2), LANE_PX - 2);
    }
  }
  context.globalAlpha = 1;
}

const CHARACTER_PX = 6;

/** As much of a text as has room, by the width of an average character: to measure each would take too long. */
function fitted(text: string, width: number): string {
  const most = Math.floor(width / CHARACTER_PX);
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
