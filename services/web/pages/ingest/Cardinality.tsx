import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import type { Cardinality as Counted } from "../../api/schema";
import { usePlace, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { count, counted, plain } from "../../parts/pure/formats";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Ingest.module.css";

const SHOWN = 20;

/** Active series and their causes, of all metrics or of one. */
export function useCardinality(metric?: string): UseQueryResult<Counted> {
  const tenantId = useTenantId();
  return useQuery({
    queryKey: ["cardinality", tenantId, metric],
    queryFn: ({ signal }) => {
      const query = { limit: SHOWN, ...(metric === undefined ? {} : { metric }) };
      return answered(api.GET("/api/v1/ingest/cardinality", { params: { query }, signal }));
    },
    enabled: mayI("metric:read"),
  });
}

/** Which metrics have the most series, and which label makes them. */
export function Cardinality({ answer }: { answer: UseQueryResult<Counted> }): ReactNode {
  const { open } = usePlace();
  const setPlace = useSetPlace();
  const one = useCardinality(open);
  const { data } = answer;
  const labels = open === undefined ? data?.labels : one.data?.labels;
  const blamed = labels?.[0];
  return (
    <section className={styles.section} aria-labelledby="cardinality">
      <h2 id="cardinality">Cardinality</h2>
      <p>Series of the last hour. Each different combination of labels is one; a label with many values makes many.</p>
      {answer.error ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Skeleton /> : null}
      {data && data.rejected_points > 0 ? (
        <p className={styles.bad}>
          {counted(data.rejected_points, "point")} of the last hour were rejected, since there were too many series.
        </p>
      ) : null}
      {data?.metrics.length === 0 ? <Empty title="No metrics in the last hour" /> : null}
      {data && data.metrics.length > 0 ? (
        <>
          {blamed ? (
            <p>
              {open === undefined ? "Over all metrics" : `Of ${plain(open)}`}, <code>{plain(blamed.label)}</code> has
              the most values: <b>{count(blamed.values)}</b>, in {counted(blamed.series, "series", "series")}.
            </p>
          ) : null}
          <div className={styles.pair}>
            <table className={table.table}>
              <thead>
                <tr>
                  <th scope="col">Metric</th>
                  <th scope="col" className={table.number}>
                    Series
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.metrics.map(({ metric, series }) => (
                  <tr key={metric} aria-selected={metric === open}>
                    <td>
                      <button
                        type="button"
                        className={styles.metric}
                        aria-pressed={metric === open}
                        title="Which of its labels make its series"
                        onClick={() => setPlace({ open: metric === open ? undefined : metric }, { replace: true })}
                      >
                        {plain(metric)}
                      </button>
                    </td>
                    <td className={table.number}>{count(series)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {one.error ? (
              <ErrorNote error={one.error} retry={() => void one.refetch()} />
            ) : (
              <table className={`${table.table} ${one.isPlaceholderData ? table.dim : ""}`}>
                <thead>
                  <tr>
                    <th scope="col">{open === undefined ? "Label, of all metrics" : `Label of ${plain(open)}`}</th>
                    <th scope="col" className={table.number}>
                      Values
                    </th>
                    <th scope="col" className={table.number}>
                      Series
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {(labels ?? []).map(({ label, values, series }) => (
                    <tr key={label}>
                      <td>
                        <code>{plain(label)}</code>
                      </td>
                      <td className={table.number}>{count(values)}</td>
                      <td className={table.number}>{count(series)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </div>
        </>
      ) : null}
    </section>
  );
}
