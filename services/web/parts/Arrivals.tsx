import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { answered, api } from "../api/client";
import type { SignalStatus } from "../api/schema";
import { useTenantId } from "../app/place";
import { mayI } from "../app/session";
import { buttonClass } from "./controls";
import { count, counted, plain } from "./pure/formats";
import styles from "./SendData.module.css";
import { ErrorNote } from "./states";

const LOOK_EVERY_MS = 1_000;
const NAMED_MAX = 2;
export const ITEM = { traces: "span", logs: "log record", metrics: "point" } as const;

/** A strip with one part per signal: waiting, or how much came from where; and what was rejected, and why. */
export function Arrivals(): ReactNode {
  const tenantId = useTenantId();
  const mayRead = mayI("tenant:read");
  const status = useQuery({
    queryKey: ["ingest status", tenantId],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/ingest/status", { signal })),
    enabled: mayRead,
    refetchInterval: LOOK_EVERY_MS,
    staleTime: 0,
  });
  if (!mayRead) return <p className={styles.text}>To see here what arrives, you need the permission tenant:read.</p>;
  if (status.error) return <ErrorNote error={status.error} retry={() => void status.refetch()} />;
  const signals = status.data?.signals ?? [];
  const rejected = signals.flatMap(({ signal, rejected: found }) => found.map((one) => ({ signal, ...one })));
  return (
    <div className={styles.step}>
      <div className={styles.signals} aria-live="polite">
        {(["traces", "logs", "metrics"] as const).map((signal) => {
          const here = signals.find((one) => one.signal === signal);
          return (
            <div key={signal} className={styles.signal} data-there={here !== undefined && here.items > 0}>
              <b>
                {signal[0]?.toUpperCase()}
                {signal.slice(1)}
              </b>
              <span>{here && here.items > 0 ? `✓ ${arrivedWords(here)}` : "Waiting…"}</span>
            </div>
          );
        })}
      </div>
      {rejected.length > 0 ? (
        <ul className={styles.rejected} aria-label="Rejected in the last 24 hours">
          {rejected.map((one) => (
            <li key={`${one.signal} ${one.reason}`}>
              <b>
                {one.items > 0 ? counted(one.items, ITEM[one.signal]) : counted(one.requests, "request")} of{" "}
                {one.signal} {one.reason.endsWith("-cut") ? "cut" : "rejected"}
              </b>{" "}
              <code>{plain(one.reason)}</code>: {plain(one.explanation)}.
            </li>
          ))}
        </ul>
      ) : null}
      {signals.some((one) => one.items > 0) ? (
        <div className={styles.row}>
          {mayI("trace:read") ? (
            <>
              <Link
                to="/t/$tenantId/traces"
                params={{ tenantId }}
                search={{ range: "24h" }}
                className={buttonClass("primary")}
              >
                Show traces
              </Link>
              <Link
                to="/t/$tenantId/services"
                params={{ tenantId }}
                search={{ range: "24h" }}
                className={buttonClass()}
              >
                Show services
              </Link>
            </>
          ) : null}
          {mayI("log:read") && signals.some((one) => one.signal === "logs" && one.items > 0) ? (
            <Link to="/t/$tenantId/logs" params={{ tenantId }} search={{ range: "24h" }} className={buttonClass()}>
              Show logs
            </Link>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

/** "42 spans from checkout, payment and 3 more". */
function arrivedWords({ signal, items, services, service_count: total }: SignalStatus): string {
  const named = services.slice(0, NAMED_MAX).map((name) => (name === "" ? "(no service.name)" : plain(name)));
  const rest = total - named.length;
  const from = rest > 0 && named.length > 0 ? `${named.join(", ")} and ${count(rest)} more` : named.join(" and ");
  return `${counted(items, ITEM[signal])}${from === "" ? "" : ` from ${from}`}`;
}
