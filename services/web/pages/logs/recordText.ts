// Records as texts: in the cells of the list, for Ctrl-F, and for the clipboard.
import type { LogRecord } from "../../api/schema";
import { severity, valueText } from "../../parts/pure/formats";

/** The value of a field or an attribute, as a query names it; undefined where a record has none. */
export function fieldOf(record: LogRecord, name: string): unknown {
  if (name.startsWith("resource.")) return record.resource.attributes[name.slice("resource.".length)];
  if (name.startsWith("attributes.")) return record.attributes[name.slice("attributes.".length)];
  if (name === "scope") return record.scope.name;
  if (name === "event") return record.event_name || undefined;
  if (name === "severity_text" || name === "trace_id" || name === "span_id") return record[name] ?? undefined;
  return record.attributes[name] ?? record.resource.attributes[name];
}

/** What a list shows of a record, in one line. */
export function recordText(record: LogRecord, columns: readonly string[]): string {
  const shown = columns.flatMap((name) => {
    const value = fieldOf(record, name);
    return value === undefined ? [] : [`${name}=${valueText(value)}`];
  });
  const word = record.severity_number > 0 ? severity(record.severity_number) : record.severity_text;
  return [record.timestamp, word, record.service_name, ...shown, valueText(record.body)].filter(Boolean).join(" ");
}

/** The places of the records that contain a text, in any case. */
export function foundIn(records: readonly LogRecord[], wanted: string, columns: readonly string[]): number[] {
  const text = wanted.trim().toLowerCase();
  if (text === "") return [];
  return records.flatMap((record, at) => (recordText(record, columns).toLowerCase().includes(text) ? [at] : []));
}
