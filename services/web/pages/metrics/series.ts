// Series of either language as lines of a chart.
import type { Result, Results } from "../../api/schema";
import type { Line } from "../../charts/LineChart";
import { serviceColour } from "../../parts/pure/colours";
import { plain } from "../../parts/pure/formats";
import { unitOf } from "../../parts/pure/metricQueries";

export interface MetricLine extends Line {
  unit: string;
  labels: Readonly<Record<string, string>>;
  /** The query or formula that it is of. */
  of: string;
}

/** What the explorer draws, whoever answered. */
export interface Drawn {
  startMs: number;
  stepMs: number;
  steps: number;
  lines: readonly MetricLine[];
  /** Series that the answer left out. */
  omitted: number;
  warnings: readonly string[];
}

/** Labels in one line, such as `http.route=/cart, service=cart`. */
export const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value === "" ? '""' : plain(value)}`)
    .join(", ");

/** Colours by place; where services alone tell the lines apart, those of the services. */
function colourOf(labels: Readonly<Record<string, string>>, isAlone: boolean, at: number): number {
  const names = Object.keys(labels);
  const service = labels.service;
  return isAlone && names.length === 1 && service !== undefined ? serviceColour(service) : at;
}

/** Lines of the results that are shown. */
export function drawn(answer: Results, isShown: (name: string) => boolean): Drawn {
  // Formulas first: the first colours are theirs.
  const shown = answer.results
    .filter((one) => isShown(one.name))
    .toSorted((a, b) => Number(b.is_formula) - Number(a.is_formula));
  const lines: MetricLine[] = [];
  for (const result of shown) {
    for (const [at, labels] of result.labels.entries()) {
      const text = labelText(labels);
      const name = result.is_formula ? result.name : result.aggregation;
      lines.push({
        key: `${result.name} ${text}`,
        label: text === "" ? name : shown.length > 1 ? `${result.name}: ${text}` : text,
        colour: colourOf(labels, shown.length === 1, lines.length),
        values: result.values[at] ?? [],
        unit: unitOfResult(result),
        labels,
        of: result.name,
      });
    }
  }
  return {
    startMs: Date.parse(answer.start),
    stepMs: answer.step_s * 1000,
    steps: answer.step_count,
    lines,
    omitted: shown.reduce((sum, one) => sum + one.series_count - one.labels.length, 0),
    warnings: [...new Set(shown.flatMap((one) => one.warnings ?? []))],
  };
}

const unitOfResult = (result: Result): string =>
  result.is_formula ? "" : unitOf(result.aggregation, result.type ?? "", result.unit);

/** The unit that all lines have; "" if they have several. */
export const commonUnit = (lines: readonly MetricLine[]): string => {
  const units = new Set(lines.map((line) => line.unit));
  return units.size === 1 ? ([...units][0] ?? "") : "";
};
