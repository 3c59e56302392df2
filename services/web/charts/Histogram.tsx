import type { PointerEvent, ReactNode } from "react";
import { count, plain } from "../parts/pure/formats";
import { clock, dayOf, type Zone } from "../parts/pure/times";
import captions from "./caption.module.css";
import styles from "./Histogram.module.css";
import { useDrag } from "./useDrag";

export interface Bars {
  value: string;
  counts: readonly number[];
}

interface HistogramProps {
  label: string;
  startMs: number;
  stepMs: number;
  buckets: number;
  /** Lowest first: they are stacked in this order. */
  series: readonly Bars[];
  zone: Zone;
  /** Whether the values are those of any field, and not severities. */
  isOther?: boolean;
  /** Called with the range that somebody has drawn, in whole buckets. */
  onBrush: (startMs: number, endMs: number) => void;
}

const HEIGHT = 72;
const GAP = 0.12;
const PLACES = 8;

/** Counts over time, stacked by severity; dragging zooms. */
export function Histogram({
  label,
  startMs,
  stepMs,
  buckets,
  series,
  zone,
  isOther = false,
  onBrush,
}: HistogramProps): ReactNode {
  const totals = Array.from({ length: buckets }, (_, at) =>
    series.reduce((sum, one) => sum + (one.counts[at] ?? 0), 0),
  );
  const highest = Math.max(1, ...totals);
  const bucketOf = (event: PointerEvent<HTMLDivElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(buckets - 1, Math.floor(((event.clientX - box.left) / box.width) * buckets)));
  };
  const at = (bucket: number): number => startMs + bucket * stepMs;
  const span = (bucket: number): string => `${clock(at(bucket), zone)} – ${clock(at(bucket + 1), zone, true)}`;
  const ends = (drawn: { from: number; to: number }): readonly [number, number] => [
    Math.min(drawn.from, drawn.to),
    Math.max(drawn.from, drawn.to) + 1,
  ];
  const { drag, over, handlers } = useDrag(bucketOf, (drawn) => {
    const [first, end] = ends(drawn);
    onBrush(at(first), at(end));
  });
  const [from, to] = drag ? ends(drag) : [0, 0];
  return (
    <figure className={styles.figure}>
      <div className={styles.plot} {...handlers}>
        <svg viewBox={`0 0 ${buckets} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {totals.map((_, bucket) => {
            let top = HEIGHT;
            return series.map(({ value, counts }, place) => {
              const number = counts[bucket] ?? 0;
              if (number === 0) return null;
              const height = Math.max(1, (number / highest) * (HEIGHT - 2));
              top -= height;
              return (
                <rect
                  key={`${at(bucket)} ${value}`}
                  x={bucket + GAP / 2}
                  y={Math.max(0, top)}
                  width={1 - GAP}
                  height={height}
                  {...(isOther ? { "data-place": place % PLACES } : { "data-severity": value })}
                />
              );
            });
          })}
        </svg>
        {over !== undefined && !drag ? (
          <div className={styles.hover} style={{ left: `${(over / buckets) * 100}%`, width: `${100 / buckets}%` }} />
        ) : null}
        {drag ? (
          <div
            className={styles.brush}
            style={{ left: `${(from / buckets) * 100}%`, width: `${((to - from) / buckets) * 100}%` }}
          />
        ) : null}
      </div>
      <figcaption className={captions.caption}>
        {drag ? (
          <b>
            {clock(at(from), zone)} – {clock(at(to), zone)}
          </b>
        ) : over === undefined ? (
          <>
            <span>{clock(startMs, zone)}</span>
            <span>{label}</span>
            <span>{clock(at(buckets), zone, dayOf(startMs, zone) === dayOf(at(buckets), zone))}</span>
          </>
        ) : (
          <>
            <b>{span(over)}</b>
            <span>
              {series
                .filter(({ counts }) => (counts[over] ?? 0) > 0)
                .toReversed()
                .map(({ value, counts }) => `${count(counts[over] ?? 0)} ${plain(value)}`)
                .join(", ") || "none"}
            </span>
          </>
        )}
      </figcaption>
      {isOther ? (
        <div className={styles.legend} aria-hidden="true">
          {series.map(({ value }, place) => (
            <span key={value}>
              <span className={styles.swatch} data-place={place % PLACES} />
              {plain(value)}
            </span>
          ))}
        </div>
      ) : null}
      <div className="hidden">
        <table>
          <caption>{label}</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {series.map(({ value }) => (
                <th key={value} scope="col">
                  {plain(value)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {totals.map((total, bucket) =>
              total === 0 ? null : (
                <tr key={at(bucket)}>
                  <th scope="row">{span(bucket)}</th>
                  {series.map(({ value, counts }) => (
                    <td key={value}>{count(counts[bucket] ?? 0)}</td>
                  ))}
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
