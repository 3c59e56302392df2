import type { ReactNode } from "react";
import { counted, duration } from "../parts/pure/formats";
import { rowStart } from "../parts/pure/heat";
import styles from "./Heatmap.module.css";

export interface DurationBar {
  row: number;
  count: number;
  errors: number;
}

interface DurationBarsProps {
  bars: readonly DurationBar[];
  lowest: number;
  rows: number;
  /** Called with the row of the bar that somebody has clicked. */
  onRow: (row: number) => void;
}

/** How many spans took how long: a bar for each row of the heatmap beside it. */
export function DurationBars({ bars, lowest, rows, onRow }: DurationBarsProps): ReactNode {
  const most = Math.max(1, ...bars.map((bar) => bar.count));
  return (
    <svg className={styles.bars} viewBox={`0 0 100 ${rows}`} preserveAspectRatio="none" aria-hidden="true">
      {bars.map(({ row, count, errors }) => {
        const top = rows - 1 - (row - lowest);
        const width = Math.max(1, (count / most) * 100);
        return (
          // biome-ignore lint/a11y/noStaticElementInteractions: a box for keys is drawn by the query
          <g key={row} onClick={() => onRow(row)}>
            <title>{`${duration(rowStart(row))} – ${duration(rowStart(row + 1))}: ${counted(count, "span")}`}</title>
            <rect className={styles.barGround} x={0} y={top} width={100} height={1} />
            <rect className={styles.bar} x={0} y={top + 0.1} width={width} height={0.8} />
            {errors > 0 ? (
              <rect
                className={styles.barFailed}
                x={0}
                y={top + 0.1}
                width={Math.max(2, (errors / most) * 100)}
                height={0.8}
              />
            ) : null}
          </g>
        );
      })}
    </svg>
  );
}
