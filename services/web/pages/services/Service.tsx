import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useContext, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import { useKeys } from "../../app/keys";
import { NowContext, type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import type { Mark } from "../../charts/LineChart";
import { Button, buttonClass } from "../../parts/controls";
import { Page, pageStyles } from "../../parts/Page";
import { plain } from "../../parts/pure/formats";
import { quoted } from "../../parts/pure/terms";
import { clock } from "../../parts/pure/times";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import { Failures, Operations } from "./Operations";
import { RedCharts } from "./RedCharts";
import { Relations } from "./Relations";
import { red } from "./red";
import styles from "./Service.module.css";
import { useReleases } from "./useReleases";

/** One service: how it goes over time, what it does, why it fails, who calls it and whom it calls. */
export function Service(): ReactNode {
  const { service } = usePlace();
  return service === undefined ? (
    <Page title="Service">
      <Empty title="Which service?">The address of this page names one: choose it among the services.</Empty>
    </Page>
  ) : (
    <Named key={service} name={service} />
  );
}

function Named({ name }: { name: string }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const now = useContext(NowContext).ms;
  const { op, kind } = usePlace();
  const setPlace = useSetPlace();
  const [picked, setPicked] = useState<number>();
  const figures = useQuery({
    queryKey: ["figures", tenantId, name, op, kind, range.start, range.end],
    queryFn: ({ signal }) => {
      const of = op === undefined ? {} : { operation: op, ...(isKind(kind) ? { kind } : {}) };
      const query = { service: name, start: range.start, end: range.end, ...of };
      return answered(api.GET("/api/v1/service-figures", { params: { query }, signal }));
    },
  });
  const lines = useMemo(() => figures.data && red(figures.data, now), [figures.data, now]);
  const releases = useReleases(name);
  const marks: readonly Mark[] = (releases.data?.items ?? []).map((one) => ({
    key: `${one.version} ${one.first_seen}`,
    ms: Date.parse(one.first_seen),
    label: plain(one.version),
    title: `${plain(one.version)} was first seen at ${clock(Date.parse(one.first_seen), range.zone)}${
      one.before === null ? "" : `, after ${plain(one.before)}`
    }`,
  }));
  useKeys([{ keys: "Escape", what: "All operations", run: () => setPlace({ op: undefined, kind: undefined }) }]);
  const ofService = `service:${quoted(name)}`;
  const query = op === undefined ? ofService : `${ofService} name:${quoted(op)}`;
  return (
    <Page
      title={name === "" ? "(no service.name)" : plain(name)}
      busy={figures.isFetching}
      tools={
        <>
          <Link
            to="/t/$tenantId/services"
            params={{ tenantId }}
            search={(was: Place) => sameTime(was)}
            className={buttonClass("quiet", true)}
          >
            All services
          </Link>
          <ToSignal to="traces" query={query}>
            Traces
          </ToSignal>
          {mayI("log:read") ? (
            <ToSignal to="logs" query={ofService}>
              Logs
            </ToSignal>
          ) : null}
        </>
      }
    >
      <div className={`${pageStyles.scroll} ${styles.all}`}>
        {op === undefined ? null : (
          <p className={styles.only}>
            <span>
              Only <b>{plain(op)}</b>
              {kind ? ` (${plain(kind)})` : ""}
            </span>
            <Button small onClick={() => setPlace({ op: undefined, kind: undefined })} title="All operations (Esc)">
              All operations
            </Button>
          </p>
        )}
        {figures.error ? (
          <div className={pageStyles.note}>
            <ErrorNote error={figures.error} retry={() => void figures.refetch()} />
          </div>
        ) : null}
        {lines === undefined ? (
          figures.isPending ? (
            <Skeleton />
          ) : null
        ) : figures.data?.points.length === 0 ? (
          <Empty title={op === undefined ? "No requests in this range" : "No such spans in this range"}>
            A request is a span of kind server or consumer, or one without a parent. Try a longer range.
          </Empty>
        ) : (
          <div className={figures.isPlaceholderData ? table.dim : ""}>
            <RedCharts
              lines={lines}
              marks={marks}
              query={query}
              ofService={ofService}
              picked={picked}
              onPick={setPicked}
              what={op === undefined ? "Requests" : "Spans"}
            />
          </div>
        )}
        {marks.length > 0 ? (
          <p className={styles.releases}>
            <b>Releases</b>
            {marks.map((mark) => (
              <span key={mark.key}>{mark.title}</span>
            ))}
          </p>
        ) : null}
        <Operations name={name} />
        <Failures name={name} />
        <Relations name={name} />
      </div>
    </Page>
  );
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;
const isKind = (kind: string | undefined): kind is (typeof KINDS)[number] => KINDS.some((one) => one === kind);

function ToSignal({ to, query, children }: { to: "traces" | "logs"; query: string; children: ReactNode }): ReactNode {
  const tenantId = useTenantId();
  return (
    <Link
      to={`/t/$tenantId/${to}`}
      params={{ tenantId }}
      search={(was: Place) => ({ ...sameTime(was), q: query })}
      className={buttonClass("plain", true)}
    >
      {children}
    </Link>
  );
}
