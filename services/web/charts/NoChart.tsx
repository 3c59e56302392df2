import type { ReactNode } from "react";
import { isMistaken } from "../parts/lists/useResults";
import { ErrorNote } from "../parts/states";
import styles from "./NoChart.module.css";

interface NoChartProps {
  height: number;
  error: unknown;
  /** Whether the query has a mistake, which is shown where it is written. */
  isMistake: boolean;
  retry: () => void;
}

/** Keeps the place of a chart while there is none, and says why if something went wrong. */
export function NoChart({ height, error, isMistake, retry }: NoChartProps): ReactNode {
  return (
    <div className={styles.place} style={{ height }}>
      {error && !isMistake && !isMistaken(error) ? <ErrorNote error={error} retry={retry} /> : null}
    </div>
  );
}
