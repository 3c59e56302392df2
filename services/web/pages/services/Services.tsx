import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useRef } from "react";
import { answered, api } from "../../api/client";
import type { Service } from "../../api/schema";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { ServiceName } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { Page, pageStyles } from "../../parts/Page";
import { count, counted, duration, percent, plain, rate } from "../../parts/pure/formats";
import { quoted } from "../../parts/pure/terms";
import { SendData } from "../../parts/SendData";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import { useDraft } from "../../parts/useDraft";

const COLUMNS = [
  { key: "name", label: "Service", value: (one: Service) => one.name },
  { key: "requests", label: "Requests", value: (one: Service) => one.request_count },
  { key: "errors", label: "Errors", value: (one: Service) => errorShare(one) },
  { key: "p50", label: "p50", value: (one: Service) => one.duration_p50_ns ?? -1 },
  { key: "p95", label: "p95", value: (one: Service) => one.duration_p95_ns ?? -1 },
  { key: "p99", label: "p99", value: (one: Service) => one.duration_p99_ns ?? -1 },
] as const;

const MAX_BAD_WIDTH = 64;
/** A share of errors that fills the meter: above it all is red anyway. */
const FULL_METER = 0.2;

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
  const { sort = "-errors", q = "" } = usePlace();
  const setPlace = useSetPlace();
  const search = useRef<HTMLInputElement>(null);
  const [filter, setFilter] = useDraft(q, (text) => setPlace({ q: text }, { replace: true }));
  useKeys([{ keys: "/", what: "Search", run: () => search.current?.focus() }]);
  const list = useQuery({
    queryKey: ["services", tenantId, range.start, range.end],
    queryFn: ({ signal }) =>
      answered(api.GET("/api/v1/services", { params: { query: { start: range.start, end: range.end } }, signal })),
  });
  const seconds = (range.endMs - range.startMs) / 1000;
  const rows = useMemo(
    () =>
      sorted(
        (list.data?.items ?? []).filter((one) => one.name.toLowerCase().includes(filter.toLowerCase())),
        sort,
      ),
    [list.data, sort, filter],
  );
  const tools = (
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
        <NothingHere />
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
                <ServiceRow key={one.name} service={one} seconds={seconds} />
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
      className={column.key === "name" ? "" : table.number}
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

function ServiceRow({ service, seconds }: { service: Service; seconds: number }): ReactNode {
  const tenantId = useTenantId();
  const share = errorShare(service);
  const quiet = service.request_count === 0;
  const took = (ns: number | null): ReactNode => (ns === null ? <span className={table.faint}>–</span> : duration(ns));
  return (
    <tr>
      <td className={table.name}>
        <Link
          to="/t/$tenantId/traces"
          params={{ tenantId }}
          search={(was: Place) => ({ ...sameTime(was), q: `service:${quoted(service.name)}` })}
          className={table.name ?? ""}
          title={`Traces of ${plain(service.name)}`}
        >
          <ServiceName name={service.name} />
        </Link>
      </td>
      <td className={table.number} title={count(service.request_count)}>
        {quiet ? <span className={table.faint}>no requests</span> : rate(service.request_count / seconds)}
      </td>
      <td className={table.number}>
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
        <span className={table.meter} aria-hidden="true">
          <svg width={MAX_BAD_WIDTH} height="6" aria-hidden="true">
            <rect className={table.meterFill} height="6" width={Math.min(share / FULL_METER, 1) * MAX_BAD_WIDTH} />
          </svg>
        </span>
      </td>
      <td className={table.number}>{took(service.duration_p50_ns)}</td>
      <td className={table.number}>{took(service.duration_p95_ns)}</td>
      <td className={table.number}>{took(service.duration_p99_ns)}</td>
    </tr>
  );
}

/** Nothing in this range: because nothing was ever sent, or because of the range. */
function NothingHere(): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const setPlace = useSetPlace();
  const week = useQuery({
    queryKey: ["services", tenantId, "any", range.endMs],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/services", { params: { query: wholeMonth() }, signal })),
  });
  if (week.isPending) return <Skeleton />;
  if (week.error) return <ErrorNote error={week.error} retry={() => void week.refetch()} />;
  if ((week.data?.items.length ?? 0) > 0) {
    return (
      <Empty
        title="Nothing in this range"
        actions={
          <button
            type="button"
            className={controls.button}
            onClick={() => setPlace({ range: "30d", from: undefined, to: undefined })}
          >
            Show the last 30 days
          </button>
        }
      >
        There is telemetry of other times.
      </Empty>
    );
  }
  return <SendData />;
}

const DAY_MS = 86_400_000;
const wholeMonth = (): { start: string; end: string } => ({
  start: new Date(Date.now() - 30 * DAY_MS).toISOString(),
  end: new Date().toISOString(),
});
