import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import { useRange, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { Button } from "../../parts/controls";
import { useResults } from "../../parts/lists/useResults";
import { count, plain } from "../../parts/pure/formats";
import { clock } from "../../parts/pure/times";
import { ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Ingest.module.css";

const PAGE = 50;

/** What was left out of requests, cut, or refused whole, by hour, with the reasons in words. */
export function Rejections(): ReactNode {
  const tenantId = useTenantId();
  const { start, end, zone } = useRange();
  const names = useKeyNames();
  const found = useResults(["rejections", tenantId, start, end], (cursor, signal) => {
    const query = { start, end, per: "hour" as const, limit: PAGE, ...(cursor ? { cursor } : {}) };
    return answered(api.GET("/api/v1/ingest/rejections", { params: { query }, signal }));
  });
  return (
    <section className={styles.section} aria-labelledby="rejections">
      <h2 id="rejections">Rejections</h2>
      <p>What was left out of requests, stored incompletely, or refused whole, by hour. Kept for 30 days.</p>
      {found.error ? <ErrorNote error={found.error} retry={found.retry} /> : null}
      {found.isPending ? <Skeleton /> : null}
      {!found.isPending && !found.error && found.items.length === 0 ? (
        <p className={styles.good}>✓ Nothing was rejected in this range.</p>
      ) : null}
      {found.items.length > 0 ? (
        <table className={`${table.table} ${found.isOld ? table.dim : ""}`}>
          <thead>
            <tr>
              <th scope="col">Hour</th>
              <th scope="col">Signal</th>
              <th scope="col">Reason</th>
              <th scope="col">Key</th>
              <th scope="col" className={table.number}>
                Items left out
              </th>
              <th scope="col" className={table.number}>
                Items cut
              </th>
              <th scope="col" className={table.number}>
                Requests
              </th>
            </tr>
          </thead>
          <tbody>
            {found.items.map((one) => (
              <tr key={`${one.start} ${one.signal} ${one.api_key_id} ${one.reason}`}>
                <td>{clock(Date.parse(one.start), zone)}</td>
                <td>{one.signal}</td>
                <td className={styles.reason}>
                  <b>{plain(one.reason)}</b>
                  <span>{plain(one.explanation)}</span>
                </td>
                <td title={one.api_key_id}>{plain(names.get(one.api_key_id) ?? one.api_key_id.slice(-8))}</td>
                <td className={`${table.number} ${one.items > 0 ? table.bad : table.faint}`}>{count(one.items)}</td>
                <td className={table.number}>{count(one.items_cut)}</td>
                <td className={table.number}>{count(one.requests)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      {found.hasMore ? (
        <Button small disabled={found.isMoreComing} onClick={found.more}>
          Show more
        </Button>
      ) : null}
    </section>
  );
}

/** The names of API keys, for whoever may read them. */
function useKeyNames(): ReadonlyMap<string, string> {
  const tenantId = useTenantId();
  const keys = useQuery({
    queryKey: ["api keys", tenantId],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/api-keys", { params: { query: { limit: 200 } }, signal })),
    enabled: mayI("api-key:read"),
  });
  return new Map((keys.data?.items ?? []).map((one) => [one.api_key_id, one.name]));
}
