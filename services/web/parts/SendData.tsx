import { useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answered, api } from "../api/client";
import { useTenantId } from "../app/place";
import { mayI } from "../app/session";
import { Arrivals } from "./Arrivals";
import { Button, CopyButton } from "./controls";
import { collector, curl, KEY_PLACE, sdk } from "./pure/configs";
import { iso } from "./pure/times";
import styles from "./SendData.module.css";
import { ErrorNote } from "./states";

const WAYS = [
  { key: "curl", label: "curl", what: "Sends one span, to see that it arrives." },
  {
    key: "collector",
    label: "Collector",
    what: "For an OpenTelemetry Collector, contrib distribution 0.149 or later.",
  },
  { key: "sdk", label: "SDK", what: "For any OpenTelemetry SDK; start your program with these variables." },
] as const;
type Way = (typeof WAYS)[number]["key"];

/** From nothing to the first span: a key, something to copy, and a strip that says what has arrived. */
export function SendData(): ReactNode {
  const [way, setWay] = useState<Way>("curl");
  const [openedMs] = useState(() => Date.now());
  const tenantId = useTenantId();
  const endpoints = useQuery({
    queryKey: ["endpoints", tenantId],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/ingest/endpoints", { signal })),
  });
  const key = useMutation({
    mutationFn: () => {
      const name = `From the UI, ${iso(Date.now()).slice(0, 19).replace("T", " ")}`;
      const body = { name, permissions: ["traces:write" as const, "logs:write" as const, "metrics:write" as const] };
      return answered(api.POST("/api/v1/api-keys", { body }));
    },
  });
  const target = endpoints.data && {
    grpc: endpoints.data.otlp_grpc_endpoint,
    http: endpoints.data.otlp_http_endpoint,
    key: key.data?.api_key ?? KEY_PLACE,
  };
  const text =
    target && (way === "curl" ? curl(target, openedMs) : way === "collector" ? collector(target) : sdk(target));
  const mayMake = mayI("api-key:write");
  return (
    <div className={styles.send}>
      <div>
        <h2 className={styles.lead}>Send your first telemetry</h2>
        <p className={styles.text}>
          duoscope takes traces, logs and metrics over OTLP, from a collector, an SDK or curl.
        </p>
      </div>
      <Arrivals />
      <div className={styles.steps}>
        <section className={styles.step}>
          <h3>1. An API key</h3>
          {key.data ? (
            <>
              <div className={styles.row}>
                <code className={styles.key}>{key.data.api_key}</code>
                <CopyButton text={key.data.api_key} label="Copy key" />
              </div>
              <p className={styles.text}>It is shown this once, and is in the text below. It may send, not read.</p>
            </>
          ) : (
            <div className={styles.row}>
              <Button
                look="primary"
                disabled={!mayMake || key.isPending}
                title={mayMake ? undefined : "Needs the permission api-key:write"}
                onClick={() => key.mutate()}
              >
                Make a key
              </Button>
              <span className={styles.text}>
                {mayMake
                  ? "Or use one that you have."
                  : "Making keys needs the permission api-key:write; use one that you have."}
              </span>
            </div>
          )}
          {key.error ? <ErrorNote error={key.error} /> : null}
        </section>
        <section className={styles.step}>
          <h3>2. Where it comes from</h3>
          <div className={styles.tabs} role="tablist" aria-label="Ways to send">
            {WAYS.map((one) => (
              <Button
                key={one.key}
                role="tab"
                id={`way-${one.key}`}
                aria-selected={way === one.key}
                aria-controls="way"
                onClick={() => setWay(one.key)}
              >
                {one.label}
              </Button>
            ))}
          </div>
          <div id="way" role="tabpanel" aria-labelledby={`way-${way}`}>
            <p className={styles.text}>{WAYS.find((one) => one.key === way)?.what}</p>
            {endpoints.error ? <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} /> : null}
            {text === undefined ? null : (
              <div className={styles.code}>
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys */}
                <pre tabIndex={0}>{text}</pre>
                <CopyButton text={text} />
              </div>
            )}
          </div>
        </section>
      </div>
    </div>
  );
}
