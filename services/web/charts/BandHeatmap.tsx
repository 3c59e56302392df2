import { type PointerEvent, type ReactNode, useCallback, useMemo } from "react";
import { type Band, bandText, boundsShown, shareOf } from "../parts/pure/bands";
import { clock, dayOf, type Zone } from "../parts/pure/times";
import { inUnit, number } from "../parts/pure/units";
import styles from "./BandHeatmap.module.css";
import captions from "./caption.module.css";
import { type HeatCell, paintCells } from "./heatCells";
import type { Dot } from "./LineChart";
import lines from "./LineChart.module.css";
import { type Brush, useCanvas } from "./useCanvas";
import { useDrag } from "./useDrag";

interface BandHeatmapProps {
  label: string;
  startMs: number;
  stepMs: number;
  steps: number;
  /** The lowest first. */
  bands: readonly Band[];
  /** Their rows are the numbers of their bands. */
  cells: readonly HeatCell[];
  unit: string;
  zone: Zone;
  dots: readonly Dot[];
  /** Called with the range that somebody has drawn, in whole steps. */
  onBrush: (startMs: number, endMs: number) => void;
}

const HEIGHT_MIN = 112;
const HEIGHT_MAX = 256;
const BAND_WANTED = 20;
const BOUND = 20;

interface Cell {
  step: number;
  band: number;
}

/** How many observations of a histogram were in which band of values, over time. Dragging zooms. */
export function BandHeatmap(props: BandHeatmapProps): ReactNode {
  const { label, startMs, stepMs, steps, bands, cells, unit, zone, dots, onBrush } = props;
  const height = Math.max(HEIGHT_MIN, Math.min(HEIGHT_MAX, bands.length * BAND_WANTED));
  const byPlace = useMemo(() => new Map(cells.map((cell) => [`${cell.bucket} ${cell.row}`, cell.count])), [cells]);
  const paint = useCallback(
    (brush: Brush) => paintCells(brush, cells, steps, 0, bands.length),
    [cells, steps, bands.length],
  );
  const canvas = useCanvas(paint);
  const cellOf = (event: PointerEvent<HTMLDivElement>): Cell => {
    const { left, top, width, height: high } = event.currentTarget.getBoundingClientRect();
    const within = (share: number, of: number): number => Math.max(0, Math.min(of - 1, Math.floor(share * of)));
    return {
      step: within((event.clientX - left) / width, steps),
      band: bands.length - 1 - within((event.clientY - top) / high, bands.length),
    };
  };
  const at = (step: number): number => startMs + step * stepMs;
  const { drag, over, handlers } = useDrag(cellOf, ({ from, to }) => {
    if (from.step !== to.step) onBrush(at(Math.min(from.step, to.step)), at(Math.max(from.step, to.step) + 1));
  });
  const endMs = at(steps);
  const [first, last] = drag
    ? [Math.min(drag.from.step, drag.to.step), Math.max(drag.from.step, drag.to.step) + 1]
    : [];
  const hovered = over && bands[over.band];
  return (
    <figure className={styles.figure}>
      <div className={styles.axis} aria-hidden="true">
        {boundsShown(bands, Math.floor(height / BOUND)).map(({ share, value }) => (
          <span key={share} style={{ bottom: `${share * 100}%` }}>
            {inUnit(value, unit)}
          </span>
        ))}
      </div>
      <div className={styles.plot} style={{ height }} aria-hidden="true" {...handlers}>
        <canvas ref={canvas} />
        {over && !drag ? (
          <div
            className={styles.cell}
            style={{
              left: `${(over.step / steps) * 100}%`,
              width: `${100 / steps}%`,
              bottom: `${(over.band / bands.length) * 100}%`,
              height: `${100 / bands.length}%`,
            }}
          />
        ) : null}
        {first !== undefined && last !== undefined ? (
          <div
            className={styles.brush}
            style={{ left: `${(first / steps) * 100}%`, width: `${((last - first) / steps) * 100}%` }}
          />
        ) : null}
        {dots.map((dot) => {
          const high = shareOf(bands, dot.value);
          if (high === undefined || dot.ms < startMs || dot.ms >= endMs) return null;
          return dot.link({
            className: lines.dot ?? "",
            style: { left: `${((dot.ms - startMs) / (endMs - startMs)) * 100}%`, bottom: `${high * 100}%` },
          });
        })}
      </div>
      <figcaption className={`${captions.caption} ${styles.caption}`}>
        {first !== undefined && last !== undefined ? (
          <b>
            {clock(at(first), zone)} – {clock(at(last), zone)}
          </b>
        ) : over && hovered ? (
          <>
            <b>
              {clock(at(over.step), zone)}, {bandText(hovered, unit)}
            </b>
            <span>{number(byPlace.get(`${over.step} ${over.band}`) ?? 0)} observations</span>
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
