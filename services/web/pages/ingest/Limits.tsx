import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import type { Cardinality } from "../../api/schema";
import { useTenantId } from "../../app/place";
import { percent } from "../../parts/pure/formats";
import { inUnit } from "../../parts/pure/units";
import { ErrorNote } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Ingest.module.css";
import type { Peak } from "./Usage";

const NEAR = 0.8;
const BAR_PX = 160;

interface LimitsProps {
  peak: Peak | undefined;
  cardinality: Cardinality | undefined;
}

/** The limits of the tenant, and how near it has come to those that are of rates and series. */
export function Limits({ peak, cardinality }: LimitsProps): ReactNode {
  const tenantId = useTenantId();
  const answer = useQuery({
    queryKey: ["limits", tenantId],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/ingest/limits", { signal })),
  });
  const limits = answer.data;
  const busiest = `in the busiest ${peak?.per ?? "hour"} of the range, on average`;
  const lines: readonly (readonly [string, number, string, number | undefined, string])[] = limits
    ? [
        ["Items per second", limits.items_per_second, "/s", peak?.itemsPerSecond, busiest],
        ["Bytes per second", limits.bytes_per_second, "By/s", peak?.bytesPerSecond, busiest],
        ["Active series", limits.active_series, "", cardinality?.active_series, "in the last hour"],
        ["Attributes of one item", limits.attributes, "", undefined, ""],
        ["One attribute's value", limits.attribute_bytes, "By", undefined, ""],
        ["One log body", limits.body_bytes, "By", undefined, ""],
      ]
    : [];
  return (
    <section className={styles.section} aria-labelledby="limits">
      <h2 id="limits">Limits</h2>
      <p>The operators of this duoscope set them. What exceeds the rates is refused, and senders try again.</p>
      {answer.error ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {limits ? (
        <table className={table.table}>
          <thead>
            <tr>
              <th scope="col">Limit</th>
              <th scope="col" className={table.number}>
                At most
              </th>
              <th scope="col" className={table.number}>
                Measured
              </th>
              <th scope="col">How near</th>
            </tr>
          </thead>
          <tbody>
            {lines.map(([name, most, unit, now, when]) => (
              <tr key={name}>
                <td className={table.name}>{name}</td>
                <td className={table.number}>{most === 0 ? "no limit" : inUnit(most, unit)}</td>
                <td className={table.number}>
                  {now === undefined ? <span className={table.faint}>–</span> : inUnit(now, unit)}
                </td>
                <td>{now === undefined || most === 0 ? null : <Near share={now / most} when={when} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </section>
  );
}

function Near({ share, when }: { share: number; when: string }): ReactNode {
  return (
    <span className={styles.near} data-near={share >= NEAR}>
      <svg width={BAR_PX} height="8" aria-hidden="true">
        <rect className={styles.ground} width={BAR_PX} height="8" rx="4" />
        <rect className={styles.fill} width={Math.max(2, Math.min(1, share) * BAR_PX)} height="8" rx="4" />
      </svg>
      <b>{percent(share)}</b> <span>{when}</span>
    </span>
  );
}
