import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useRef } from "react";
import { answered, api } from "../../api/client";
import type { Service, ServiceList } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { Sparkline } from "../../charts/Sparkline";
import { Button, ServiceName } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { NothingHere } from "../../parts/NothingHere";
import { Page, pageStyles } from "../../parts/Page";
import { change, count, counted, duration, isCovered, percent, plain, rate } from "../../parts/pure/formats";
import { quoted } from "../../parts/pure/terms";
import { iso } from "../../parts/pure/times";
import { SendData } from "../../parts/SendData";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import { useDraft } from "../../parts/useDraft";
import { ServiceMap } from "./ServiceMap";
import styles from "./Services.module.css";

const COLUMNS = [
  { key: "name", label: "Service", value: (one: Service) => one.name },
  { key: "requests", label: "Requests", value: (one: Service) => one.request_count },
  { key: "errors", label: "Errors", value: (one: Service) => errorShare(one) },
  { key: "p50", label: "p50", value: (one: Service) => one.duration_p50_ns ?? -1 },
  { key: "p95", label: "p95", value: (one: Service) => one.duration_p95_ns ?? -1 },
  { key: "p99", label: "p99", value: (one: Service) => one.duration_p99_ns ?? -1 },
] as const;

/** Figures that say how they differ from the window before. */
const CHANGING = new Set<string>(["requests", "errors", "p95"]);
/** So many steps at most has a sparkline. */
const POINTS = 40;
/** In so many the window before is asked for, to see where its data begins. */
const POINTS_BEFORE = 8;

/** How many steps of an answer were over when the range ended: the last one has not counted all that it will. */
function finished({ start, step_s: step, items }: ServiceList, endMs: number): number | undefined {
  const steps = items[0]?.request_counts?.length ?? 0;
  if (start === undefined || step === undefined || steps < 2) return undefined;
  return Math.min(steps, Math.max(1, Math.floor((endMs - Date.parse(start)) / (step * 1000))));
}

const errorShare = (one: Service): number => (one.request_count === 0 ? 0 : one.error_count / one.request_count);

function sorted(services: readonly Service[], sort: string): Service[] {
  const key = sort.replace(/^-/, "");
  const column = COLUMNS.find((one) => one.key === key) ?? COLUMNS[2];
  const sign = sort.startsWith("-") ? -1 : 1;
  return services.toSorted((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === y) return b.request_count - a.request_count || a.name.localeCompare(b.name);
    return sign * (x < y ? -1 : 1);
  });
}

/** All services: who is asked how much, who fails, who is slow. The worst stand first. */
export function Services(): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { sort = "-errors", q = "", view } = usePlace();
  const isMap = view === "map" || view === "near";
  const setPlace = useSetPlace();
  const search = useRef<HTMLInputElement>(null);
  const [filter, setFilter] = useDraft(q, (text) => setPlace({ q: text }, { replace: true }));
  useKeys([{ keys: "/", what: "Search", run: () => search.current?.focus() }]);
  const list = useQuery({
    queryKey: ["services", tenantId, range.start, range.end, POINTS],
    queryFn: ({ signal }) => {
      const query = { start: range.start, end: range.end, points: POINTS };
      return answered(api.GET("/api/v1/services", { params: { query }, signal }));
    },
  });
  const former = useQuery({
    queryKey: ["services", tenantId, "before", range.start, range.end],
    queryFn: ({ signal }) => {
      const query = { start: iso(2 * range.startMs - range.endMs), end: range.start, points: POINTS_BEFORE };
      return answered(api.GET("/api/v1/services", { params: { query }, signal }));
    },
    retry: false,
  });
  const before = useMemo(() => {
    const all = former.isPlaceholderData ? [] : (former.data?.items ?? []);
    // Where the data of all services begins within that window, everything would have grown since.
    return new Map(isCovered(all.map((one) => one.request_counts ?? [])) ? all.map((one) => [one.name, one]) : []);
  }, [former.data, former.isPlaceholderData]);
  const seconds = (range.endMs - range.startMs) / 1000;
  const steps = list.data && finished(list.data, range.endMs);
  const rows = useMemo(
    () =>
      sorted(
        (list.data?.items ?? []).filter((one) => one.name.toLowerCase().includes(filter.toLowerCase())),
        sort,
      ),
    [list.data, sort, filter],
  );
  const views = (
    <fieldset className={styles.views} aria-label="View">
      <Button aria-pressed={!isMap} onClick={() => setPlace({ view: undefined, open: undefined })}>
        Table
      </Button>
      <Button
        aria-pressed={isMap}
        title="Who calls whom"
        onClick={() => setPlace({ view: isMap ? view : "map", open: undefined })}
      >
        Map
      </Button>
    </fieldset>
  );
  if (isMap) {
    return (
      <Page title="Services" tools={views}>
        <ServiceMap />
      </Page>
    );
  }
  const tools = (
    <>
      {views}
      <input
        ref={search}
        className={`${controls.input} ${table.search}`}
        type="search"
        placeholder="Filter by name (/)"
        aria-label="Filter services by name"
        value={filter}
        onChange={(event) => setFilter(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </>
  );
  return (
    <Page title="Services" tools={tools} busy={list.isFetching}>
      {list.error ? (
        <div className={pageStyles.note}>
          <ErrorNote error={list.error} retry={() => void list.refetch()} />
        </div>
      ) : null}
      {list.data === undefined ? (
        list.isPending ? (
          <Skeleton />
        ) : null
      ) : list.data.items.length === 0 ? (
        <Nothing />
      ) : rows.length === 0 ? (
        <Empty title="No service has such a name">Of {counted(list.data.items.length, "service")} in this range.</Empty>
      ) : (
        <div className={`${pageStyles.scroll} ${list.isPlaceholderData ? table.dim : ""}`}>
          <table className={table.table}>
            <thead>
              <tr>
                {COLUMNS.map((column) => (
                  <SortedHeader key={column.key} column={column} sort={sort} />
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((one) => (
                <ServiceRow
                  key={one.name}
                  service={one}
                  before={before.get(one.name)}
                  seconds={seconds}
                  steps={steps}
                />
              ))}
            </tbody>
          </table>
          {list.data.truncated ? (
            <p className={pageStyles.note}>Only the first {count(list.data.items.length)} are shown.</p>
          ) : null}
        </div>
      )}
    </Page>
  );
}

function SortedHeader({ column, sort }: { column: (typeof COLUMNS)[number]; sort: string }): ReactNode {
  const setPlace = useSetPlace();
  const isBy = sort.replace(/^-/, "") === column.key;
  const isDown = sort.startsWith("-");
  const next = isBy ? (isDown ? column.key : `-${column.key}`) : column.key === "name" ? "name" : `-${column.key}`;
  return (
    <th
      scope="col"
      className={column.key === "name" ? "" : `${table.number} ${CHANGING.has(column.key) ? table.shifted : ""}`}
      aria-sort={isBy ? (isDown ? "descending" : "ascending") : "none"}
    >
      <button type="button" className={table.sort} onClick={() => setPlace({ sort: next }, { replace: true })}>
        {isBy ? (
          <span className={table.arrow} aria-hidden="true">
            {isDown ? "↓" : "↑"}
          </span>
        ) : null}
        {column.label}
      </button>
    </th>
  );
}

interface ServiceRowProps {
  service: Service;
  /** The same in the window before, if it sent something there. */
  before: Service | undefined;
  seconds: number;
  /** How many steps of its form are over. */
  steps: number | undefined;
}

function ServiceRow({ service, before, seconds, steps }: ServiceRowProps): ReactNode {
  const tenantId = useTenantId();
  const share = errorShare(service);
  const quiet = service.request_count === 0;
  const took = (ns: number | null): ReactNode => (ns === null ? <span className={table.faint}>–</span> : duration(ns));
  return (
    <tr>
      <td className={table.name}>
        <Link
          to="/t/$tenantId/services/one"
          params={{ tenantId }}
          search={(was: Place) => ({ ...sameTime(was), service: service.name })}
          className={table.name ?? ""}
          title={`All about ${plain(service.name)}`}
        >
          <ServiceName name={service.name} />
        </Link>
      </td>
      <td className={table.number} title={count(service.request_count)}>
        <span className={table.cell}>
          {quiet ? null : (
            <Sparkline
              values={(service.request_counts ?? []).slice(0, steps)}
              label={`Requests of ${plain(service.name)} over time`}
            />
          )}
          <span className={table.value}>
            {quiet ? <span className={table.faint}>no requests</span> : rate(service.request_count / seconds)}
          </span>
          <Change
            now={service.request_count}
            before={before?.request_count}
            words={(was) => `${rate(was / seconds)} in the window before`}
          />
        </span>
      </td>
      <td className={table.number}>
        <span className={table.cell}>
          {share > 0 ? (
            <Sparkline
              values={(service.error_counts ?? []).slice(0, steps)}
              label={`Errors of ${plain(service.name)} over time`}
              look="error"
            />
          ) : null}
          <span className={table.value}>
            {share > 0 ? (
              <Link
                to="/t/$tenantId/traces"
                params={{ tenantId }}
                search={(was: Place) => ({ ...sameTime(was), q: `service:${quoted(service.name)} status:error` })}
                className={table.bad ?? ""}
                title={`${count(service.error_count)} of ${counted(service.request_count, "request")} failed`}
              >
                {percent(share)}
              </Link>
            ) : (
              <span className={table.faint}>{quiet ? "–" : "0%"}</span>
            )}
          </span>
          <Change
            now={share}
            before={before && before.request_count > 0 ? errorShare(before) : undefined}
            isWorse={share > 0}
            words={(was) => `${percent(was)} in the window before`}
          />
        </span>
      </td>
      <td className={table.number}>{took(service.duration_p50_ns)}</td>
      <td className={table.number}>
        <span className={table.cell}>
          <span className={table.value}>{took(service.duration_p95_ns)}</span>
          <Change
            now={service.duration_p95_ns ?? 0}
            before={before?.duration_p95_ns ?? undefined}
            words={(was) => `${duration(was)} in the window before`}
          />
        </span>
      </td>
      <td className={table.number}>{took(service.duration_p99_ns)}</td>
    </tr>
  );
}

interface ChangeProps {
  now: number;
  /** Undefined where nothing was there to compare with. */
  before: number | undefined;
  /** Whether a rise is an error, which is red. */
  isWorse?: boolean;
  words: (before: number) => string;
}

/** How a figure differs from the window before, if it does. */
function Change({ now, before, isWorse = false, words }: ChangeProps): ReactNode {
  const said = before === undefined ? undefined : change(now, before);
  return (
    <span
      className={table.change}
      data-worse={isWorse && before !== undefined && now > before}
      title={before === undefined ? undefined : words(before)}
    >
      {said}
    </span>
  );
}

/** Nothing in this range: because nothing was ever sent, or because of the range. */
function Nothing(): ReactNode {
  const tenantId = useTenantId();
  const status = useQuery({
    queryKey: ["ingest status", tenantId],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/ingest/status", { signal })),
    enabled: mayI("tenant:read"),
    staleTime: 0,
  });
  // What arrives while one looks on stands in the strip, which does not go away under one's hands.
  const isNew = useRef(false);
  if (status.data?.newest_at === null) isNew.current = true;
  if (status.isLoading) return <Skeleton />;
  return isNew.current ? <SendData /> : <NothingHere signal="traces" />;
}
