// Values of metrics with their units, which OpenTelemetry writes by the UCUM: "s", "By", "{request}/s", "1".
import { duration, plain } from "./formats";

const SIGNIFICANT = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const PLAIN_MAX = 10_000;
const PLAIN_MIN = 0.001;

/** A number with three significant digits: 0.25, 1,230, 45.6K, 1.2e-5. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < PLAIN_MIN)) return value.toExponential(1).replace(/(?:\.0)?e\+?/, "e");
  return (size >= PLAIN_MAX ? SHORT : SIGNIFICANT).format(value);
}

const TIME_NS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  min: 6e10,
  h: 3.6e12,
  d: 8.64e13,
};
const DECIMAL: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const BINARY: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
const SIZES = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
const NAMES: Record<string, string> = { Cel: "°C", "[degF]": "°F", Hz: "Hz", "%": "%", By: "B", bit: "bit" };

/** A unit without its annotations: "{request}/s" is "/s", "{request}" and "1" are "". */
const bare = (unit: string): string => unit.replace(/\{[^}]*\}/g, "").replace(/^1(?=\/|$)/, "");

/** How many bytes or bits are one of this unit; undefined for what counts neither. */
function dataUnit(unit: string): { factor: number; name: string } | undefined {
  const found = /^(k|M|G|T|Ki|Mi|Gi|Ti)?(By|bit)$/.exec(unit);
  if (!found) return undefined;
  const prefix = found[1] ?? "";
  return { factor: BINARY[prefix] ?? DECIMAL[prefix] ?? 1, name: found[2] === "bit" ? "bit" : "B" };
}

/** Whether values of this unit are divided by 1,024 and not by 1,000. */
export const isBinary = (unit: string): boolean => dataUnit(bare(unit).split("/")[0] ?? "") !== undefined;

/** A value with its unit: "12.3 ms", "4.5 MiB/s", "17%", "120". */
export function inUnit(value: number, unit: string): string {
  const [of = "", ...per] = bare(unit).split("/");
  const rate = per.length > 0 ? `/${per.map(plain).join("/")}` : "";
  const time = TIME_NS[of];
  if (time !== undefined && rate === "" && Number.isFinite(value)) return value === 0 ? "0" : duration(value * time);
  const data = dataUnit(of);
  if (data) {
    const all = value * data.factor;
    const size = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(Math.abs(all), 1)) / 10)));
    return `${number(all / 1024 ** size)} ${SIZES[size]}${data.name}${rate}`;
  }
  if (of === "") return `${number(value)}${rate}`;
  if (of === "%") return `${number(value)}%${rate}`;
  return `${number(value)} ${NAMES[of] ?? plain(of)}${rate}`;
}

/** What a unit is called where no value stands before it: "{request}" is "request". */
export const unitName = (unit: string): string => (unit === "" || unit === "1" ? "" : plain(unit.replace(/[{}]/g, "")));

/** Values for an axis from `low` to `high`: about `wanted` round ones. */
export function ticks(low: number, high: number, wanted: number, binary = false): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const rough = span / wanted;
  const power = binary && rough >= 1 ? 2 ** Math.floor(Math.log2(rough)) : 10 ** Math.floor(Math.log10(rough));
  const steps = binary && rough >= 1 ? [1, 2] : [1, 2, 5, 10];
  const step = power * (steps.find((one) => one * power >= rough) ?? 1);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}
