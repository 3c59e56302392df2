import { Menu } from "@base-ui/react/menu";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import { asApiError, inWords } from "../../api/errors";
import type { LogRecord } from "../../api/schema";
import { useRange } from "../../app/place";
import { buttonClass } from "../../parts/controls";
import popup from "../../parts/popup.module.css";
import { csv } from "../../parts/pure/csv";
import { count, severity, valueText } from "../../parts/pure/formats";
import { fieldOf } from "./recordText";

const EXPORTED_MAX = 10_000;
const KEPT_MS = 60_000;

interface DownloadProps {
  records: readonly LogRecord[];
  columns: readonly string[];
  query: string;
}

/** What the list has as CSV, or everything that matches as lines of JSON, as a file. */
export function Download({ records, columns, query }: DownloadProps): ReactNode {
  const { start, end } = useRange();
  const lines = useMutation({
    mutationFn: async () => {
      const params = { query: { start, end, query, format: "ndjson" as const, limit: EXPORTED_MAX } };
      save(await answered(api.GET("/api/v1/logs/export", { params, parseAs: "blob" as const })), "logs.ndjson");
    },
  });
  const asCsv = (): void => {
    const rows = records.map((record) => [
      record.timestamp,
      record.severity_number > 0 ? severity(record.severity_number) : record.severity_text,
      record.service_name,
      ...columns.map((name) => {
        const value = fieldOf(record, name);
        return value === undefined ? "" : valueText(value);
      }),
      valueText(record.body),
    ]);
    save(new Blob([csv([["timestamp", "severity", "service", ...columns, "body"], ...rows])]), "logs.csv");
  };
  return (
    <>
      {lines.error ? <span role="alert">{inWords(asApiError(lines.error))}</span> : null}
      <Menu.Root>
        <Menu.Trigger className={buttonClass("plain", true)} disabled={lines.isPending}>
          {lines.isPending ? "One moment…" : "Download"}
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner className={popup.positioner ?? ""} align="end" sideOffset={4}>
            <Menu.Popup className={popup.popup ?? ""}>
              <Menu.Item className={popup.item ?? ""} disabled={records.length === 0} onClick={asCsv}>
                The {count(records.length)} loaded as CSV
              </Menu.Item>
              <Menu.Item className={popup.item ?? ""} onClick={() => lines.mutate()}>
                All that match as JSON lines, {count(EXPORTED_MAX)} at most
              </Menu.Item>
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </>
  );
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Browsers read it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
