// How durations, numbers and the like are written, once for the whole UI.

const INTEGER = new Intl.NumberFormat("en-US");

/** A whole number, such as 1,234,567. */
export const count = (value: number): string => INTEGER.format(value);

/** A number and what it counts, such as "1 record" or "1,234 records". */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** A number in few characters, such as 1.2M. */
export const shortCount = (value: number): string => (Math.abs(value) < 10_000 ? count(value) : SHORT.format(value));

const UNITS: readonly (readonly [number, string])[] = [
  [3_600_000_000_000, "h"],
  [60_000_000_000, "min"],
  [1_000_000_000, "s"],
  [1_000_000, "ms"],
  [1_000, "µs"],
  [1, "ns"],
];

/** A duration in nanoseconds with three significant digits and its unit, such as "12.3 ms". */
export function duration(ns: number): string {
  if (ns === 0) return "0 ms";
  const size = Math.abs(ns);
  const [unit, name] = UNITS.find(([least]) => size >= least * 0.9995) ?? [1, "ns"];
  const value = ns / unit;
  if (name === "min" || name === "h") {
    const small = name === "min" ? 1_000_000_000 : 60_000_000_000;
    const rest = Math.round((size % unit) / small);
    const whole = Math.floor(size / unit) + (rest === 60 ? 1 : 0);
    const sign = ns < 0 ? "-" : "";
    return rest % 60 === 0
      ? `${sign}${whole} ${name}`
      : `${sign}${whole} ${name} ${rest} ${name === "min" ? "s" : "min"}`;
  }
  const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
  const text = value.toFixed(digits);
  return `${digits > 0 ? text.replace(/\.?0+$/, "") : text} ${name}`;
}

/** A share as per cent: 0 %, 0.04 %, 12.5 %, 100 %. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return "0%";
  if (value < 0.01) return "<0.01%";
  return `${value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : Math.round(value)}%`;
}

/** What became of a figure against the time before: "+12%", "−40%", "×12", "new"; undefined if that is hardly anything. */
export function change(now: number, before: number): string | undefined {
  if (before === 0) return now === 0 ? undefined : "new";
  const ratio = now / before;
  if (ratio >= MANIFOLD) return `×${count(Math.round(ratio))}`;
  const share = Math.round((ratio - 1) * 100);
  return Math.abs(share) < HARDLY ? undefined : `${share > 0 ? "+" : "−"}${Math.abs(share)}%`;
}

const MANIFOLD = 10;
const HARDLY = 5;

/** Whether one of several series of counts begins so early in its window that a sum over it stands for all of it. */
export function isCovered(series: readonly (readonly number[])[]): boolean {
  const steps = Math.max(...series.map((counts) => counts.length));
  const firsts = series.map((counts) => counts.findIndex((one) => one > 0)).filter((at) => at >= 0);
  return firsts.length > 0 && Math.min(...firsts) < steps * MISSING_MAX;
}

/** The share of a window that may be without data where it begins. */
const MISSING_MAX = 0.25;

/** A rate per second, or per minute or hour where that is little; never written as if it were nothing. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  const perMinute = perSecond * 60;
  if (perMinute < 0.1) return perMinute * 60 < 0.1 ? "<0.1/h" : `${(perMinute * 60).toFixed(1)}/h`;
  if (perSecond < 0.1) return `${perMinute.toFixed(1)}/min`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : shortCount(Math.round(perSecond))}/s`;
}

const SEVERITIES = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type Severity = (typeof SEVERITIES)[number] | "none";

/** The word of a severity number of OpenTelemetry; "none" for 0. */
export const severity = (number: number): Severity => SEVERITIES[Math.floor((number - 1) / 4)] ?? "none";

const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of telemetry with what turns its direction made visible, so that it cannot pretend to be another text. */
export const plain = (text: string): string =>
  text.replace(BIDI, (control) => `⟨U+${control.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** Any value of telemetry as text. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return plain(value);
  if (value === null || value === undefined) return "null";
  return plain(typeof value === "object" ? JSON.stringify(value) : String(value));
}
