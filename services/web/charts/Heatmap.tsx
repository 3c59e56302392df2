import { type PointerEvent, type ReactNode, useCallback, useMemo } from "react";
import { count, counted, duration } from "../parts/pure/formats";
import { type HeatBox, rowStart } from "../parts/pure/heat";
import { clock, dayOf, type Zone } from "../parts/pure/times";
import captions from "./caption.module.css";
import { type DurationBar, DurationBars } from "./DurationBars";
import styles from "./Heatmap.module.css";
import { type HeatCell, paintCells } from "./heatCells";
import { type Brush, useCanvas } from "./useCanvas";
import { useDrag } from "./useDrag";

interface HeatmapProps {
  label: string;
  startMs: number;
  stepMs: number;
  buckets: number;
  cells: readonly HeatCell[];
  zone: Zone;
  box: HeatBox | undefined;
  /** Called with the box that somebody has drawn, in whole cells. */
  onBox: (box: HeatBox) => void;
}

const TICKS = 4;
const ROWS_MIN = 8;

interface Cell {
  bucket: number;
  row: number;
}

/** How many spans took how long, over time: time by the logarithm of the duration. Dragging draws a box. */
export function Heatmap({ label, startMs, stepMs, buckets, cells, zone, box, onBox }: HeatmapProps): ReactNode {
  const lowest = Math.min(...cells.map((cell) => cell.row));
  const rows = Math.max(ROWS_MIN, Math.max(...cells.map((cell) => cell.row)) - lowest + 1);
  const byPlace = useMemo(() => new Map(cells.map((cell) => [`${cell.bucket} ${cell.row}`, cell])), [cells]);
  const bars = useMemo(() => byDuration(cells), [cells]);
  const paint = useCallback(
    (brush: Brush) => paintCells(brush, cells, buckets, lowest, rows),
    [cells, buckets, lowest, rows],
  );
  const canvas = useCanvas(paint);
  const cellOf = (event: PointerEvent<HTMLDivElement>): Cell => {
    const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
    const within = (share: number, of: number): number => Math.max(0, Math.min(of - 1, Math.floor(share * of)));
    return {
      bucket: within((event.clientX - left) / width, buckets),
      row: lowest + rows - 1 - within((event.clientY - top) / height, rows),
    };
  };
  const boxOf = ({ from, to }: { from: Cell; to: Cell }): HeatBox => ({
    startMs: startMs + Math.min(from.bucket, to.bucket) * stepMs,
    endMs: startMs + (Math.max(from.bucket, to.bucket) + 1) * stepMs,
    minNs: Math.round(rowStart(Math.min(from.row, to.row))),
    maxNs: Math.round(rowStart(Math.max(from.row, to.row) + 1)),
  });
  const { drag, over, handlers } = useDrag(cellOf, (drawn) => onBox(boxOf(drawn)));
  const shown = drag ? boxOf(drag) : box;
  const hovered = over && !drag ? byPlace.get(`${over.bucket} ${over.row}`) : undefined;
  return (
    <figure className={styles.figure}>
      <div className={styles.axis} aria-hidden="true">
        {Array.from({ length: TICKS }, (_, tick) => tick / (TICKS - 1)).map((share) => (
          <span key={share} style={{ bottom: `${share * 100}%` }}>
            {duration(rowStart(lowest + share * rows))}
          </span>
        ))}
      </div>
      <div className={styles.plot} aria-hidden="true" {...handlers}>
        <canvas ref={canvas} />
        {shown ? <div className={styles.box} style={placed(shown, startMs, stepMs * buckets, lowest, rows)} /> : null}
      </div>
      <DurationBars
        bars={bars}
        lowest={lowest}
        rows={rows}
        onRow={(row) =>
          onBox({
            startMs,
            endMs: startMs + buckets * stepMs,
            minNs: Math.round(rowStart(row)),
            maxNs: Math.round(rowStart(row + 1)),
          })
        }
      />
      <figcaption className={`${captions.caption} ${styles.caption}`}>
        {drag ? (
          <b>{boxWords(boxOf(drag), zone)}</b>
        ) : over ? (
          <>
            <b>{boxWords(boxOf({ from: over, to: over }), zone)}</b>
            <span>
              {counted(hovered?.count ?? 0, "span")}
              {hovered && hovered.errors > 0 ? `, ${counted(hovered.errors, "error")}` : ""}
            </span>
          </>
        ) : (
          <>
            <span>{clock(startMs, zone)}</span>
            <span>{label}</span>
            <span>
              {clock(
                startMs + buckets * stepMs,
                zone,
                dayOf(startMs, zone) === dayOf(startMs + buckets * stepMs, zone),
              )}
            </span>
          </>
        )}
      </figcaption>
      <HeatTable label={label} bars={bars} />
    </figure>
  );
}

/** A box in words. */
export const boxWords = ({ startMs, endMs, minNs, maxNs }: HeatBox, zone: Zone): string =>
  `${clock(startMs, zone)} – ${clock(endMs, zone, true)}, ${duration(minNs)} – ${duration(maxNs)}`;

function placed(box: HeatBox, startMs: number, lengthMs: number, lowest: number, rows: number): object {
  const share = (value: number): number => Math.max(0, Math.min(1, value));
  const height = (ns: number): number => share((Math.log2(Math.max(ns, 1)) * 4 - lowest) / rows);
  const [left, right] = [share((box.startMs - startMs) / lengthMs), share((box.endMs - startMs) / lengthMs)];
  const [bottom, top] = [height(box.minNs), height(box.maxNs)];
  return {
    left: `${left * 100}%`,
    width: `${(right - left) * 100}%`,
    bottom: `${bottom * 100}%`,
    height: `${(top - bottom) * 100}%`,
  };
}

/** The cells of each row together, the shortest durations first. */
function byDuration(cells: readonly HeatCell[]): DurationBar[] {
  const byRow = new Map<number, DurationBar>();
  for (const { row, count: number, errors } of cells) {
    const sum = byRow.get(row) ?? { row, count: 0, errors: 0 };
    byRow.set(row, { row, count: sum.count + number, errors: sum.errors + errors });
  }
  return [...byRow.values()].sort((a, b) => a.row - b.row);
}

/** The heatmap for whoever does not see it: spans by duration. */
function HeatTable({ label, bars }: { label: string; bars: readonly DurationBar[] }): ReactNode {
  return (
    <div className="hidden">
      <table>
        <caption>{label}, by duration</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">Spans</th>
            <th scope="col">Errors</th>
          </tr>
        </thead>
        <tbody>
          {bars.map((bar) => (
            <tr key={bar.row}>
              <th scope="row">{duration(rowStart(bar.row))}</th>
              <td>{count(bar.count)}</td>
              <td>{count(bar.errors)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
