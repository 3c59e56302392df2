import { type CSSProperties, type PointerEvent, type ReactNode, useCallback, useMemo } from "react";
import { plain } from "../parts/pure/formats";
import { clock, dayOf, type Zone } from "../parts/pure/times";
import { inUnit, isBinary, ticks } from "../parts/pure/units";
import captions from "./caption.module.css";
import { extent } from "./extent";
import styles from "./LineChart.module.css";
import { strokes } from "./strokes";
import { type Brush, useCanvas } from "./useCanvas";
import { useDrag } from "./useDrag";

export interface Line {
  key: string;
  label: string;
  /** The number of its colour. */
  colour: number;
  /** One value a step; null where there is none. */
  values: readonly (number | null)[];
}

/** A single measurement among the lines. */
export interface Dot {
  key: string;
  ms: number;
  value: number;
  /** The link to where it comes from, at its place. */
  link: (place: { className: string; style: CSSProperties }) => ReactNode;
}

/** A moment among the lines, such as a release. */
export interface Mark {
  key: string;
  ms: number;
  label: string;
  /** All of it, for whoever points at it. */
  title: string;
}

interface LineChartProps {
  label: string;
  startMs: number;
  stepMs: number;
  steps: number;
  lines: readonly Line[];
  unit: string;
  zone: Zone;
  height?: number;
  dots?: readonly Dot[];
  marks?: readonly Mark[];
  /** The start of the step that stands out, if there is one; a click on another one chooses that. */
  picked?: number | undefined;
  onPick?: (ms: number) => void;
  /** The line that stands out, if there is one. */
  chosen?: string | undefined;
  onChoose?: (key: string) => void;
  /** Called with the range that somebody has drawn, in whole steps. */
  onBrush?: (startMs: number, endMs: number) => void;
}

interface At {
  step: number;
  /** From the bottom, 0 to 1. */
  share: number;
}

const COLOURS = 8;
/** From this share of the chart on, the label of a mark stands on its left. */
const LATE = 0.8;
const FAINT = 0.15;
const NO_DOTS: readonly Dot[] = [];
const NO_MARKS: readonly Mark[] = [];
/** The colour number of a line of errors. */
export const OF_ERRORS = -1;

/** Values over time, a line for each series. Dragging zooms; a click chooses the nearest line. */
export function LineChart(props: LineChartProps): ReactNode {
  const { label, startMs, stepMs, steps, lines, unit, zone, height = 240, dots = NO_DOTS, chosen } = props;
  const { onChoose, onBrush, onPick, picked, marks: moments = NO_MARKS } = props;
  const [low, high] = useMemo(
    () =>
      extent(
        lines.map((line) => line.values),
        dots.map((dot) => dot.value),
      ),
    [lines, dots],
  );
  const levels = ticks(low, high, Math.max(2, Math.round(height / 56)), isBinary(unit));
  const marks = levels.join(" ");
  const draw = useCallback(
    (brush: Brush) => paint(brush, lines, steps, low, high, marks.split(" ").map(Number), chosen),
    [lines, steps, low, high, marks, chosen],
  );
  const canvas = useCanvas(draw);
  const shareOf = (value: number): number => (value - low) / (high - low);
  const placeOf = (event: PointerEvent<HTMLDivElement>): At => {
    const box = event.currentTarget.getBoundingClientRect();
    const step = Math.round(((event.clientX - box.left) / box.width) * Math.max(steps - 1, 1));
    return {
      step: Math.max(0, Math.min(steps - 1, step)),
      share: 1 - (event.clientY - box.top) / box.height,
    };
  };
  const at = (step: number): number => startMs + step * stepMs;
  const { drag, over, handlers } = useDrag(placeOf, ({ from, to }) => {
    if (from.step !== to.step) onBrush?.(at(Math.min(from.step, to.step)), at(Math.max(from.step, to.step)));
    else if (onPick) onPick(at(to.step));
    else {
      const line = nearest(lines, to, shareOf);
      if (line) onChoose?.(line.key);
    }
  });
  const found = over && !drag ? nearest(lines, over, shareOf) : undefined;
  const value = over && found?.values[over.step];
  const left = (step: number): string => `${(steps < 2 ? 0.5 : step / (steps - 1)) * 100}%`;
  const endMs = at(steps - 1);
  return (
    <figure className={styles.figure}>
      <div className={styles.axis} aria-hidden="true">
        {levels.map((level) => (
          <span key={level} style={{ bottom: `${shareOf(level) * 100}%` }}>
            {inUnit(level, unit)}
          </span>
        ))}
      </div>
      <div className={styles.plot} style={{ height }} aria-hidden="true" {...handlers}>
        <canvas ref={canvas} />
        {moments
          .filter((mark) => mark.ms >= startMs && mark.ms < endMs + stepMs)
          .map((mark) => (
            <div
              key={mark.key}
              className={styles.mark}
              title={mark.title}
              data-late={mark.ms - startMs > (endMs - startMs) * LATE}
              style={{ left: `${Math.min(1, (mark.ms - startMs) / Math.max(endMs - startMs, 1)) * 100}%` }}
            >
              <span>{mark.label}</span>
            </div>
          ))}
        {picked !== undefined && picked >= startMs && picked <= endMs ? (
          <div className={styles.picked} style={{ left: left(Math.round((picked - startMs) / stepMs)) }} />
        ) : null}
        {over && !drag ? <div className={styles.cross} style={{ left: left(over.step) }} /> : null}
        {over && value !== undefined && value !== null ? (
          <div className={styles.point} style={{ left: left(over.step), bottom: `${shareOf(value) * 100}%` }} />
        ) : null}
        {drag ? (
          <div
            className={styles.brush}
            style={{
              left: left(Math.min(drag.from.step, drag.to.step)),
              width: left(Math.abs(drag.to.step - drag.from.step)),
            }}
          />
        ) : null}
        {dots
          .filter((dot) => dot.ms >= startMs && dot.ms <= endMs)
          .map((dot) =>
            dot.link({
              className: styles.dot ?? "",
              style: {
                left: `${((dot.ms - startMs) / Math.max(endMs - startMs, 1)) * 100}%`,
                bottom: `${shareOf(dot.value) * 100}%`,
              },
            }),
          )}
      </div>
      <figcaption className={`${captions.caption} ${styles.caption}`}>
        {drag ? (
          <b>
            {clock(at(Math.min(drag.from.step, drag.to.step)), zone)} –{" "}
            {clock(at(Math.max(drag.from.step, drag.to.step)), zone)}
          </b>
        ) : over ? (
          <>
            <b>{clock(at(over.step), zone)}</b>
            <span className={styles.said}>
              {found && value !== undefined && value !== null
                ? `${plain(found.label)}: ${inUnit(value, unit)}`
                : "no value"}
            </span>
          </>
        ) : (
          <>
            <span>{clock(startMs, zone)}</span>
            <span>{label}</span>
            <span>{clock(endMs, zone, dayOf(startMs, zone) === dayOf(endMs, zone))}</span>
          </>
        )}
      </figcaption>
    </figure>
  );
}

/** The line with a value at this step that is nearest to the pointer. */
function nearest(lines: readonly Line[], { step, share }: At, shareOf: (value: number) => number): Line | undefined {
  let found: Line | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const value = line.values[step];
    if (value === null || value === undefined) continue;
    const distance = Math.abs(shareOf(value) - share);
    if (distance < least) [found, least] = [line, distance];
  }
  return found;
}

function paint(
  { context, width, height, colour }: Brush,
  lines: readonly Line[],
  steps: number,
  low: number,
  high: number,
  levels: readonly number[],
  chosen: string | undefined,
): void {
  const colours = Array.from({ length: COLOURS }, (_, index) => colour(`service-${index}`));
  const x = (step: number): number => (steps < 2 ? width / 2 : (step / (steps - 1)) * width);
  const y = (value: number): number => height - ((value - low) / (high - low)) * height;
  context.fillStyle = colour("line");
  for (const level of levels) context.fillRect(0, Math.min(Math.round(y(level)), height - 1), width, 1);
  context.lineJoin = "round";
  for (const { key, colour: index, values } of lines) {
    const isChosen = key === chosen;
    context.globalAlpha = chosen === undefined || isChosen ? 1 : FAINT;
    context.lineWidth = isChosen ? 2 : 1.5;
    context.strokeStyle = index === OF_ERRORS ? colour("error-fill") : (colours[index % COLOURS] ?? "");
    context.fillStyle = context.strokeStyle;
    context.beginPath();
    for (const [first = 0, ...rest] of strokes(values, Math.max(1, Math.floor(width)))) {
      const [left, top] = [x(first), y(values[first] ?? 0)];
      if (rest.length === 0) context.fillRect(left - 1.5, top - 1.5, 3, 3);
      else context.moveTo(left, top);
      for (const step of rest) context.lineTo(x(step), y(values[step] ?? 0));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}
