import type { ReactNode } from "react";
import { usePlace, useRange, useSetPlace } from "../../app/place";
import { type Dot, LineChart } from "../../charts/LineChart";
import { counted, plain } from "../../parts/pure/formats";
import { figures } from "../../parts/pure/metricQueries";
import { iso } from "../../parts/pure/times";
import { inUnit } from "../../parts/pure/units";
import { Empty } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Metrics.module.css";
import { commonUnit, type Drawn, type MetricLine } from "./series";

interface ChartProps {
  drawn: Drawn;
  isOld: boolean;
  label: string;
  /** What had no values, if so. */
  what: string;
  dots?: readonly Dot[];
  /** What stands between the chart and its legend. */
  children?: ReactNode;
  /** Whether the legend is shown. */
  hasLegend?: boolean;
}

/** The lines of an answer, and below them their legend: a table that can be sorted. */
export function Chart({ drawn, isOld, label, what, dots = NONE, children, hasLegend = true }: ChartProps): ReactNode {
  const { zone } = useRange();
  const { open } = usePlace();
  const setPlace = useSetPlace();
  const { lines } = drawn;
  const choose = (key: string): void => setPlace({ open: open === key ? undefined : key }, { replace: true });
  const chosen = lines.some((line) => line.key === open) ? open : undefined;
  return (
    <div className={isOld ? table.dim : ""}>
      {lines.length === 0 ? (
        <Empty title="No values in this range">{what} has no points in it. Try a longer one.</Empty>
      ) : (
        <LineChart
          label={label}
          startMs={drawn.startMs}
          stepMs={drawn.stepMs}
          steps={drawn.steps}
          lines={lines}
          unit={commonUnit(lines)}
          zone={zone}
          dots={dots}
          chosen={chosen}
          onChoose={choose}
          onBrush={(from, to) => setPlace({ range: undefined, from: iso(from), to: iso(to) })}
        />
      )}
      {drawn.warnings.length > 0 ? <p className={styles.note}>{drawn.warnings.map(plain).join(" ")}</p> : null}
      {drawn.omitted > 0 ? (
        <p className={styles.note}>
          {counted(lines.length, "series", "series")} of {lines.length + drawn.omitted} are shown, those with the
          highest values.
        </p>
      ) : null}
      {children}
      {hasLegend && lines.length > 0 ? <Legend lines={lines} chosen={chosen} onChoose={choose} /> : null}
    </div>
  );
}

const NONE: readonly Dot[] = [];

const COLUMNS = ["last", "avg", "min", "max"] as const;
type Column = "label" | (typeof COLUMNS)[number];

function Legend({
  lines,
  chosen,
  onChoose,
}: {
  lines: readonly MetricLine[];
  chosen: string | undefined;
  onChoose: (key: string) => void;
}): ReactNode {
  const { sort = "-last" } = usePlace();
  const setPlace = useSetPlace();
  const by = sort.replace(/^-/, "") as Column;
  const sign = sort.startsWith("-") ? -1 : 1;
  const rows = lines
    .map((line) => ({ line, of: figures(line.values) }))
    .toSorted((a, b) => {
      if (by === "label" || !COLUMNS.includes(by)) return sign * a.line.label.localeCompare(b.line.label);
      return sign * ((a.of[by] ?? Number.NEGATIVE_INFINITY) - (b.of[by] ?? Number.NEGATIVE_INFINITY));
    });
  const head = (column: Column, name: string): ReactNode => (
    <th
      key={column}
      scope="col"
      className={column === "label" ? "" : table.number}
      aria-sort={by === column ? (sign < 0 ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        className={table.sort}
        onClick={() => {
          const first = column === "label" ? "label" : `-${column}`;
          const other = sort.startsWith("-") ? column : `-${column}`;
          setPlace({ sort: by === column ? other : first }, { replace: true });
        }}
      >
        {by === column ? (
          <span className={table.arrow} aria-hidden="true">
            {sign < 0 ? "↓" : "↑"}
          </span>
        ) : null}
        {name}
      </button>
    </th>
  );
  return (
    <table className={table.table}>
      <thead>
        <tr>
          {head("label", "Series")}
          {COLUMNS.map((column) => head(column, column))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ line, of }) => (
          <tr key={line.key} aria-selected={line.key === chosen}>
            <td className={styles.series}>
              <button
                type="button"
                aria-pressed={line.key === chosen}
                title="Let this series stand out"
                onClick={() => onChoose(line.key)}
              >
                <span className={styles.swatch} data-colour={line.colour % 8} aria-hidden="true" />
                <span>{plain(line.label)}</span>
              </button>
            </td>
            {COLUMNS.map((column) => {
              const value = of[column];
              return (
                <td key={column} className={table.number}>
                  {value === undefined ? <span className={table.faint}>–</span> : inUnit(value, line.unit)}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
