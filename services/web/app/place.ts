// Where one is: tenant, time range, query and selection, all of it in the URL.
import { useNavigate, useParams, useRouterState, useSearch } from "@tanstack/react-router";
import { createContext, useCallback, useContext, useMemo } from "react";
import type { TimeRange, Zone } from "../parts/pure/times";
import { iso, isZone, resolved } from "../parts/pure/times";

/** What the query part of a URL may say; everything is text. */
export interface Place {
  range?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  tz?: string | undefined;
  q?: string | undefined;
  sort?: string | undefined;
  /** How a page shows what it found, if not as a list. */
  view?: string | undefined;
  /** Columns that a list has besides its own, and whether its rows take as many lines as they need. */
  cols?: string | undefined;
  wrap?: string | undefined;
  /** The field by which a histogram of records is told apart, if not by severity. */
  by?: string | undefined;
  /** What was drawn on the heatmap, to be compared with the rest. */
  box?: string | undefined;
  /** The queries of metrics, and the formula over them; or an expression of PromQL. */
  m?: string | undefined;
  formula?: string | undefined;
  promql?: string | undefined;
  /** The service that a page is of; the operation and the kind of its spans that the charts are of. */
  service?: string | undefined;
  op?: string | undefined;
  kind?: string | undefined;
  /** The record or span that is shown beside the list, or the series that stands out. */
  open?: string | undefined;
}

const KEYS = [
  "range",
  "from",
  "to",
  "tz",
  "q",
  "sort",
  "view",
  "cols",
  "wrap",
  "by",
  "box",
  "m",
  "formula",
  "promql",
  "service",
  "op",
  "kind",
  "open",
] as const;

export function parsePlace(search: Record<string, unknown>): Place {
  const place: Place = {};
  for (const key of KEYS) {
    const value = search[key];
    if (typeof value === "string" && (value !== "" || key === "service")) place[key] = value;
  }
  return place;
}

/** What stays when one goes to another page: the time, not the question. */
export const sameTime = ({ range, from, to, tz }: Place): Place => ({ range, from, to, tz });

export interface Now {
  ms: number;
  refresh: () => void;
}

export const NowContext = createContext<Now>({ ms: 0, refresh: () => undefined });

export interface RangeNow extends TimeRange {
  zone: Zone;
  start: string;
  end: string;
  refresh: () => void;
}

export function usePlace(): Place {
  return useSearch({ strict: false });
}

export function useTenantId(): string {
  return useParams({ strict: false }).tenantId ?? "";
}

/** The range of the URL, with what "now" was when the page was loaded or last refreshed. */
export function useRange(): RangeNow {
  const { range, from, to, tz } = usePlace();
  const { ms, refresh } = useContext(NowContext);
  return useMemo(() => {
    const { startMs, endMs } = resolved({ range, from, to }, ms);
    const zone = tz !== undefined && isZone(tz) ? tz : undefined;
    return { startMs, endMs, zone, start: iso(startMs), end: iso(endMs), refresh };
  }, [range, from, to, tz, ms, refresh]);
}

/** Changes parts of the URL; `replace` leaves no step for the back button. */
export function useSetPlace(): (change: Place, options?: { replace?: boolean }) => void {
  const navigate = useNavigate();
  return useCallback(
    (change, { replace = false } = {}) =>
      void navigate({ to: ".", search: (now: Place) => parsePlace({ ...now, ...change }), replace }),
    [navigate],
  );
}

/** The present page's path. */
export const usePath = (): string => useRouterState({ select: (state) => state.location.pathname });
