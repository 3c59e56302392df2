import type { ReactNode } from "react";
import { extent } from "./extent";
import styles from "./Sparkline.module.css";
import { strokes } from "./strokes";

interface SparklineProps {
  /** One value a step; null where there is none. */
  values: readonly (number | null)[];
  /** What it shows, for whoever does not see it. */
  label: string;
  width?: number;
  height?: number;
  look?: "plain" | "error";
}

/** A line in a row of a table: its form, no numbers. */
export function Sparkline({ values, label, width = 120, height = 24, look = "plain" }: SparklineProps): ReactNode {
  const [low, high] = extent([values]);
  const x = (at: number): number => (values.length < 2 ? width / 2 : (at / (values.length - 1)) * width);
  const y = (value: number): number => height - 1 - ((value - low) / (high - low)) * (height - 2);
  const place = (at: number): string => `${x(at).toFixed(1)} ${y(values[at] ?? 0).toFixed(1)}`;
  const path = strokes(values, width)
    .map((steps) => (steps.length === 1 ? `M${place(steps[0] ?? 0)}h0.01` : `M${steps.map(place).join("L")}`))
    .join("");
  return (
    <svg className={styles.line} data-look={look} width={width} height={height} role="img" aria-label={label}>
      <path d={path} />
    </svg>
  );
}
