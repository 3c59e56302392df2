import { useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import type { LogRecord } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";

interface Listed {
  count: number;
  record: (index: number) => LogRecord | undefined;
  /** Where a record is in the list; -1 if it is not. */
  index: (id: string) => number;
  cursor: number;
  setCursor: (index: number) => void;
}

interface RecordKeys {
  /** The row that keys act on. */
  at: number;
  move: (by: number) => void;
  show: (record: LogRecord | undefined) => void;
}

/** The keys of a list of records. */
export function useRecordKeys({ count, record, index, cursor, setCursor }: Listed): RecordKeys {
  const { open } = usePlace();
  const setPlace = useSetPlace();
  const navigate = useNavigate();
  const tenantId = useTenantId();
  const chosen = open === undefined ? -1 : index(open);
  const at = chosen >= 0 ? chosen : Math.min(cursor, count - 1);
  const show = useCallback((one: LogRecord | undefined) => setPlace({ open: one?.id }, { replace: true }), [setPlace]);
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(count - 1, at + by));
    setCursor(next);
    if (open !== undefined) show(record(next));
  };
  const openTrace = (one: LogRecord | undefined): void => {
    if (one?.trace_id) {
      void navigate({
        to: "/t/$tenantId/traces/$traceId",
        params: { tenantId, traceId: one.trace_id },
        search: (was: Place) => ({ ...sameTime(was), ...(one.span_id ? { open: one.span_id } : {}) }),
      });
    }
  };
  const openKey = { keys: "o", what: "Open the trace of the row", run: () => openTrace(record(at)) };
  useKeys([
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    { keys: "Enter", what: "Open the row", run: () => show(record(Math.max(at, 0))) },
    { keys: "Escape", what: "Close the panel", run: () => show(undefined) },
    ...(mayI("trace:read") ? [openKey] : []),
  ]);
  return { at, move, show };
}
