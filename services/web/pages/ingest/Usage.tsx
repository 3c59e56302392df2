import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import type { UsagePage } from "../../api/schema";
import { useRange, useTenantId } from "../../app/place";
import { Sparkline } from "../../charts/Sparkline";
import { count } from "../../parts/pure/formats";
import { inUnit } from "../../parts/pure/units";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Ingest.module.css";

const HOUR_MS = 3_600_000;
/** By hour up to so long a range; by day beyond. */
const HOURS_MAX = 7 * 24;
const SIGNALS = ["traces", "logs", "metrics"] as const;
/** Fewer steps have no form. */
const FORM_LEAST = 4;
const ROWS_MAX = 1_000;

type Totals = Record<"items" | "stored" | "bytes" | "requests", number>;

export interface UsageBySignal {
  per: "hour" | "day";
  signals: readonly { signal: string; totals: Totals; items: readonly number[] }[];
  items: readonly { startMs: number; items: number; bytes: number }[];
}

/** What was sent in the hours or days of the range, by signal. */
export function useUsage(): UseQueryResult<UsageBySignal> {
  const tenantId = useTenantId();
  const { start, end, startMs, endMs } = useRange();
  const per = endMs - startMs <= HOURS_MAX * HOUR_MS ? ("hour" as const) : ("day" as const);
  return useQuery({
    queryKey: ["usage", tenantId, start, end, per],
    queryFn: async ({ signal }) => {
      const query = { start, end, per, limit: ROWS_MAX };
      return bySignal(await answered(api.GET("/api/v1/usage", { params: { query }, signal })), startMs, endMs, per);
    },
  });
}

function bySignal({ items }: UsagePage, startMs: number, endMs: number, per: "hour" | "day"): UsageBySignal {
  const stepMs = per === "hour" ? HOUR_MS : 24 * HOUR_MS;
  const firstMs = Math.floor(startMs / stepMs) * stepMs;
  const steps = Math.max(1, Math.ceil((endMs - firstMs) / stepMs));
  const whole = Array.from({ length: steps }, (_, at) => ({ startMs: firstMs + at * stepMs, items: 0, bytes: 0 }));
  const signals = SIGNALS.map((signal) => {
    const totals = { items: 0, stored: 0, bytes: 0, requests: 0 };
    const counts = Array.from<number>({ length: steps }).fill(0);
    for (const one of items) {
      if (one.signal !== signal) continue;
      for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] += one[key];
      const at = Math.floor((Date.parse(one.start) - firstMs) / stepMs);
      const step = whole[at];
      if (!step) continue;
      counts[at] = (counts[at] ?? 0) + one.items;
      step.items += one.items;
      step.bytes += one.bytes;
    }
    return { signal, totals, items: counts };
  });
  return { per, signals, items: whole };
}

export interface Peak {
  itemsPerSecond: number;
  bytesPerSecond: number;
  per: "hour" | "day";
}

/** The rates of the busiest hour or day; of one that has not ended, so far. */
export function busiest(usage: UsageBySignal | undefined): Peak | undefined {
  if (usage === undefined) return undefined;
  const lengthMs = usage.per === "hour" ? HOUR_MS : 24 * HOUR_MS;
  const rate = (of: "items" | "bytes"): number =>
    Math.max(
      0,
      ...usage.items.map((one) => one[of] / (Math.max(60_000, Math.min(lengthMs, Date.now() - one.startMs)) / 1000)),
    );
  return { itemsPerSecond: rate("items"), bytesPerSecond: rate("bytes"), per: usage.per };
}

/** Items, bytes and requests of each signal. */
export function Usage({ answer }: { answer: UseQueryResult<UsageBySignal> }): ReactNode {
  const { data } = answer;
  return (
    <section className={styles.section} aria-labelledby="usage">
      <h2 id="usage">Usage</h2>
      <p>What arrived in the whole {data?.per ?? "hour"}s of the range. A retry is not counted again.</p>
      {answer.error ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Skeleton /> : null}
      {data?.signals.every((one) => one.totals.requests === 0) ? (
        <Empty title="Nothing arrived in this range">Send data shows how to send some.</Empty>
      ) : data ? (
        <table className={`${table.table} ${answer.isPlaceholderData ? table.dim : ""}`}>
          <thead>
            <tr>
              <th scope="col">Signal</th>
              <th scope="col">By {data.per}</th>
              <th scope="col" className={table.number}>
                Items
              </th>
              <th scope="col" className={table.number}>
                Not stored
              </th>
              <th scope="col" className={table.number}>
                Size
              </th>
              <th scope="col" className={table.number}>
                Requests
              </th>
            </tr>
          </thead>
          <tbody>
            {data.signals.map(({ signal, totals, items }) => (
              <tr key={signal}>
                <td className={table.name}>{signal}</td>
                <td>
                  {items.length < FORM_LEAST ? (
                    <span className={table.faint}>in a longer range</span>
                  ) : (
                    <Sparkline values={items} label={`Items of ${signal} by ${data.per}`} width={160} />
                  )}
                </td>
                <td className={table.number}>{count(totals.items)}</td>
                <td className={table.number}>
                  <span className={totals.items > totals.stored ? table.bad : table.faint}>
                    {count(totals.items - totals.stored)}
                  </span>
                </td>
                <td className={table.number}>{inUnit(totals.bytes, "By")}</td>
                <td className={table.number}>{count(totals.requests)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </section>
  );
}
