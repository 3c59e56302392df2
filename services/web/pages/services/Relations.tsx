import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { ServiceEdge } from "../../api/schema";
import { type Place, sameTime, useRange, useTenantId } from "../../app/place";
import { ServiceName } from "../../parts/controls";
import { count, duration, percent, rate } from "../../parts/pure/formats";
import { ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Service.module.css";
import { MAP_DAYS_MAX, useMap } from "./useMap";

/** Who calls a service, and whom it calls. */
export function Relations({ name }: { name: string }): ReactNode {
  const map = useMap();
  if (map.isTooLong) {
    return (
      <section className={styles.section} aria-label="Callers and callees">
        <h2>Callers and callees</h2>
        <p>Calls are found in ranges of up to {MAP_DAYS_MAX} days. Choose a shorter one.</p>
      </section>
    );
  }
  if (map.error) return <ErrorNote error={map.error} retry={() => void map.refetch()} />;
  if (map.data === undefined) return <Skeleton />;
  const edges = map.data.edges;
  const note = map.data.sampled_one_in > 1 ? ` Estimated from one trace in ${map.data.sampled_one_in}.` : "";
  return (
    <div className={styles.pair}>
      <Side
        title="Callers"
        none={`Nobody calls it in this range.${note}`}
        edges={edges.filter(({ callee }) => callee === name)}
        other={({ caller }) => caller}
        known={map.data.nodes}
      />
      <Side
        title="Callees"
        none={`It calls nobody in this range.${note}`}
        edges={edges.filter(({ caller }) => caller === name)}
        other={({ callee }) => callee}
        known={map.data.nodes}
      />
    </div>
  );
}

interface SideProps {
  title: string;
  none: string;
  edges: readonly ServiceEdge[];
  other: (edge: ServiceEdge) => string;
  known: readonly string[];
}

function Side({ title, none, edges, other }: SideProps): ReactNode {
  const { startMs, endMs } = useRange();
  const seconds = (endMs - startMs) / 1000;
  return (
    <section className={styles.section} aria-label={title}>
      <h2>{title}</h2>
      {edges.length === 0 ? (
        <p>{none}</p>
      ) : (
        <table className={table.table}>
          <thead>
            <tr>
              <th scope="col">Service</th>
              {["Calls", "Errors", "p95"].map((head) => (
                <th key={head} scope="col" className={table.number}>
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {edges.map((edge) => (
              <tr key={other(edge)}>
                <td>
                  <ToService name={other(edge)} />
                </td>
                <td className={table.number} title={count(edge.call_count)}>
                  {rate(edge.call_count / seconds)}
                </td>
                <td className={`${table.number} ${edge.error_count > 0 ? table.bad : table.faint}`}>
                  {percent(edge.error_count / edge.call_count)}
                </td>
                <td className={table.number}>{duration(edge.duration_p95_ns)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** A service's name, which leads to its page. */
export function ToService({ name }: { name: string }): ReactNode {
  const tenantId = useTenantId();
  return (
    <Link
      to="/t/$tenantId/services/one"
      params={{ tenantId }}
      search={(was: Place) => ({ ...sameTime(was), service: name })}
      className={table.name ?? ""}
    >
      <ServiceName name={name} />
    </Link>
  );
}
