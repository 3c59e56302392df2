// Times of telemetry are texts with nanoseconds and stay texts; ranges are words in the URL, such as "1h".

/** A range as the URL has it: the last so long, or from one time to another. */
export interface RangeWords {
  range?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

export interface TimeRange {
  startMs: number;
  endMs: number;
}

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
export const DEFAULT_RANGE = "1h";

/** The length of "90m", "3h", "2d"; undefined for what is none. */
export function lengthMs(words: string): number | undefined {
  const found = /^(\d{1,6})\s*(s|m|h|d|w)[a-z]*$/.exec(words.trim().toLowerCase());
  if (found?.[1] === undefined || found[2] === undefined) return undefined;
  const length = Number(found[1]) * (UNIT_MS[found[2]] ?? 0);
  return length > 0 ? length : undefined;
}

/** The range that words mean now. Words that mean nothing stand for the last hour. */
export function resolved(words: RangeWords, nowMs: number): TimeRange {
  const from = words.from === undefined ? Number.NaN : Date.parse(words.from);
  const to = words.to === undefined ? nowMs : Date.parse(words.to);
  if (!Number.isNaN(from) && !Number.isNaN(to) && from < to) return { startMs: from, endMs: to };
  const length = lengthMs(words.range ?? DEFAULT_RANGE) ?? 3_600_000;
  return { startMs: nowMs - length, endMs: nowMs };
}

const NAMES: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** The range in words, as the time picker shows it. */
export function rangeLabel(words: RangeWords, zone: Zone): string {
  if (words.from !== undefined) {
    const from = Date.parse(words.from);
    const to = words.to === undefined ? Number.NaN : Date.parse(words.to);
    if (!Number.isNaN(from)) {
      const until = Number.isNaN(to) ? "now" : clock(to, zone, dayOf(from, zone) === dayOf(to, zone));
      return `${clock(from, zone)} – ${until}`;
    }
  }
  const found = /^(\d+)([smhdw])$/.exec(words.range ?? DEFAULT_RANGE);
  const name = NAMES[found?.[2] ?? "h"] ?? "hour";
  const number = Number(found?.[1] ?? 1);
  return number === 1 ? `Last ${name}` : `Last ${number} ${name}s`;
}

/** A zone of the IANA, "UTC", or undefined for the browser's. */
export type Zone = string | undefined;

const formatters = new Map<string, Intl.DateTimeFormat>();

function parts(ms: number, zone: Zone): Record<string, string> {
  const key = zone ?? "";
  let formatter = formatters.get(key);
  if (formatter === undefined) {
    const fields = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
    const times = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
    formatter = new Intl.DateTimeFormat("en-GB", { ...fields, ...times, ...(zone ? { timeZone: zone } : {}) });
    formatters.set(key, formatter);
  }
  return Object.fromEntries(formatter.formatToParts(ms).map(({ type, value }) => [type, value]));
}

/** Whether a browser knows this zone. */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The day, such as 2026-11-29. */
export function dayOf(ms: number, zone: Zone): string {
  const { year, month, day } = parts(ms, zone);
  return `${year}-${month}-${day}`;
}

/** A moment to the minute: 2026-11-29 14:03, or 14:03 alone. */
export function clock(ms: number, zone: Zone, short = false): string {
  const { hour, minute, second } = parts(ms, zone);
  const seconds = second === "00" ? "" : `:${second}`;
  return `${short ? "" : `${dayOf(ms, zone)} `}${hour}:${minute}${seconds}`;
}

/** A moment of telemetry, RFC 3339 with nanoseconds: its day, and its time with so many digits of the second. */
export function moment(time: string, zone: Zone, digits = 3): { day: string; time: string } {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return { day: "", time };
  const { hour, minute, second } = parts(ms, zone);
  const fraction = (/\.(\d+)/.exec(time)?.[1] ?? "").padEnd(9, "0").slice(0, digits);
  return { day: dayOf(ms, zone), time: `${hour}:${minute}:${second}${digits > 0 ? `.${fraction}` : ""}` };
}

/** Nanoseconds since the epoch of a moment of telemetry. */
export function nanoseconds(time: string): bigint {
  const fraction = (/\.(\d+)/.exec(time)?.[1] ?? "").padEnd(9, "0").slice(0, 9);
  return BigInt(Math.floor(Date.parse(time.replace(/\.\d+/, "")) / 1000)) * 1_000_000_000n + BigInt(fraction);
}

/** The moment that a wall clock in a zone shows as this day and time. */
export function inZone(day: string, time: string, zone: Zone): number {
  const asUtc = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}Z`);
  const shown = (ms: number): number => {
    const { year, month, day: date, hour, minute, second } = parts(ms, zone);
    return Date.parse(`${year}-${month}-${date}T${hour}:${minute}:${second}Z`);
  };
  const guess = asUtc - (shown(asUtc) - asUtc);
  return guess - (shown(guess) - asUtc);
}

const DATE = String.raw`(?:(\d{4}-\d{2}-\d{2})[ Tt]?|(today|yesterday)\s*)?`;
const TIME = String.raw`(\d{1,2}:\d{2}(?::\d{2})?)?`;
const MOMENT = new RegExp(`^${DATE}${TIME}$`);

function typedMoment(
  text: string,
  nowMs: number,
  zone: Zone,
  day?: string,
): { ms: number; isDay: boolean } | undefined {
  if (text === "now") return { ms: nowMs, isDay: false };
  if (/z$|[+-]\d{2}:\d{2}$/i.test(text) && !Number.isNaN(Date.parse(text))) {
    return { ms: Date.parse(text), isDay: false };
  }
  const found = MOMENT.exec(text);
  if (!found || text === "") return undefined;
  const [, date, word, time] = found;
  const named = word === "yesterday" ? dayOf(nowMs - 86_400_000, zone) : undefined;
  const on = date ?? named ?? day ?? dayOf(nowMs, zone);
  const ms = inZone(on, (time ?? "00:00").padStart(5, "0"), zone);
  return Number.isNaN(ms) ? undefined : { ms, isDay: time === undefined };
}

const DAY_MS = 86_400_000;

/** What somebody typed into the time picker: "3h", "yesterday", "yesterday 14:00", "14:00 - 15:30",
 * "2026-11-29 14:00 to 2026-11-29 15:00". Undefined if it means nothing. A single moment means the hour around it. */
export function typed(text: string, nowMs: number, zone: Zone): RangeWords | undefined {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/^last\s+/, "")
    .replace(/\s+ago$/, "");
  const length = lengthMs(words.replace(/^(second|minute|hour|day|week)$/, "1 $1"));
  if (length !== undefined) {
    const found = /^(\d+)\s*([smhdw])/.exec(words.replace(/^(second|minute|hour|day|week)$/, "1 $1"));
    return { range: `${found?.[1]}${found?.[2]}` };
  }
  const [first, second, ...more] = words.split(/\s+(?:-|–|to)\s+|\s*–\s*|\s+-\s*(?=\d{1,2}:)/);
  if (first === undefined || more.length > 0) return undefined;
  const from = typedMoment(first, nowMs, zone);
  if (from === undefined) return undefined;
  let to: number;
  if (second === undefined) {
    to = from.isDay ? Math.min(from.ms + DAY_MS, nowMs) : Math.min(from.ms + 1_800_000, nowMs);
    if (!from.isDay) from.ms -= 1_800_000;
  } else {
    const end = typedMoment(second, nowMs, zone, dayOf(from.ms, zone));
    if (end === undefined) return undefined;
    to = end.isDay ? end.ms + DAY_MS : end.ms;
  }
  return from.ms < to ? { from: iso(from.ms), to: iso(to) } : undefined;
}

/** A moment as the URL and the API have it. */
export const iso = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
