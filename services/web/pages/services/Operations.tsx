import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { pageStyles } from "../../parts/Page";
import { count, duration, percent, plain, rate } from "../../parts/pure/formats";
import { quoted } from "../../parts/pure/terms";
import { ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import styles from "./Service.module.css";

const SHOWN = 50;
const ERRORS_SHOWN = 20;
const took = (ns: number | null | undefined): string => (ns === null || ns === undefined ? "–" : duration(ns));

/** What a service does, by the names of its spans: the most frequent first. */
export function Operations({ name }: { name: string }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const { op, kind } = usePlace();
  const setPlace = useSetPlace();
  const answer = useQuery({
    queryKey: ["service operations", tenantId, name, range.start, range.end],
    queryFn: ({ signal }) => {
      const durations = ["p50", "p95", "p99"].map((of) => ({ function: of, field: "duration" }));
      const body = {
        ...{ start: range.start, end: range.end, query: `service:${quoted(name)}`, group_by: ["name", "kind"] },
        measures: [{ function: "count" }, { function: "count", query: "status:error" }, ...durations],
        limit: SHOWN,
      };
      return answered(api.POST("/api/v1/traces/aggregate", { body, signal }));
    },
  });
  const seconds = (range.endMs - range.startMs) / 1000;
  return (
    <section className={styles.section} aria-label="Operations">
      <h2>Operations</h2>
      {answer.error ? (
        <ErrorNote error={answer.error} retry={() => void answer.refetch()} />
      ) : answer.data === undefined ? (
        <Skeleton />
      ) : answer.data.rows.length === 0 ? (
        <p>No spans of it in this range.</p>
      ) : (
        <>
          <table className={`${table.table} ${answer.isPlaceholderData ? table.dim : ""}`}>
            <thead>
              <tr>
                <th scope="col">Span</th>
                <th scope="col">Kind</th>
                {["Rate", "Errors", "p50", "p95", "p99"].map((head) => (
                  <th key={head} scope="col" className={table.number}>
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {answer.data.rows.map(({ group, values }) => {
                const [of = "", its = ""] = [group[0] ?? "", group[1] ?? ""];
                const [number, failed] = [values[0] ?? 0, values[1] ?? 0];
                const isChosen = op === of && kind === its;
                return (
                  <tr key={`${its} ${of}`} aria-selected={isChosen}>
                    <td className={styles.operation}>
                      <button
                        type="button"
                        className={styles.choose}
                        aria-pressed={isChosen}
                        title="Show the charts of these spans alone"
                        onClick={() => setPlace(isChosen ? { op: undefined, kind: undefined } : { op: of, kind: its })}
                      >
                        {plain(of)}
                      </button>
                    </td>
                    <td className={table.faint}>{its}</td>
                    <td className={table.number} title={count(number)}>
                      {rate(number / seconds)}
                    </td>
                    <td className={table.number}>
                      {failed > 0 ? (
                        <Link
                          to="/t/$tenantId/traces"
                          params={{ tenantId }}
                          search={(was: Place) => ({
                            ...sameTime(was),
                            q: `service:${quoted(name)} name:${quoted(of)} status:error`,
                          })}
                          className={table.bad ?? ""}
                          title={`${count(failed)} of ${count(number)} failed`}
                        >
                          {percent(failed / number)}
                        </Link>
                      ) : (
                        <span className={table.faint}>0%</span>
                      )}
                    </td>
                    {values.slice(2).map((value, at) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: the place is which percentile it is
                      <td key={at} className={table.number}>
                        {took(value)}
                      </td>
                    ))}
                  </tr>
                );
              })}
            </tbody>
          </table>
          {answer.data.other ? (
            <p className={pageStyles.note}>And {count(answer.data.other.group_count)} more, less frequent ones.</p>
          ) : null}
        </>
      )}
    </section>
  );
}

interface Failed {
  message: string;
  spans: string[];
  total: number;
}

/** One row for each message: what fails deep within a service fails what called it with the same words. */
function byMessage(
  rows: readonly { group: readonly (string | null)[]; values: readonly (number | null)[] }[],
): Failed[] {
  const found = new Map<string, Failed>();
  for (const { group, values } of rows) {
    const [message, span] = [group[0] ?? "", group[1] ?? ""];
    const one = found.get(message) ?? { message, spans: [], total: 0 };
    one.spans.push(span);
    one.total += values[0] ?? 0;
    found.set(message, one);
  }
  return [...found.values()].sort((a, b) => b.total - a.total);
}

/** Why spans of a service failed, by what they said: the most frequent first. */
export function Failures({ name }: { name: string }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const query = `service:${quoted(name)} status:error`;
  const answer = useQuery({
    queryKey: ["service errors", tenantId, name, range.start, range.end],
    queryFn: ({ signal }) => {
      const body = {
        ...{ start: range.start, end: range.end, query, group_by: ["status_message", "name"] },
        limit: ERRORS_SHOWN,
        step: "auto",
      };
      return answered(api.POST("/api/v1/traces/aggregate", { body, signal }));
    },
  });
  return (
    <section className={styles.section} aria-label="Errors by message">
      <h2>Errors by message</h2>
      {answer.error ? (
        <ErrorNote error={answer.error} retry={() => void answer.refetch()} />
      ) : answer.data === undefined ? (
        <Skeleton />
      ) : answer.data.rows.length === 0 ? (
        <p>No span of it failed in this range.</p>
      ) : (
        <table className={`${table.table} ${answer.isPlaceholderData ? table.dim : ""}`}>
          <thead>
            <tr>
              <th scope="col">Message</th>
              <th scope="col">Spans</th>
              <th scope="col" className={table.number} title="Spans that failed so; a call fails with what it called">
                Errors
              </th>
            </tr>
          </thead>
          <tbody>
            {byMessage(answer.data.rows).map(({ message, spans, total }) => {
              const said = message === "" ? "" : ` status_message:${quoted(message)}`;
              const only = spans.length === 1 ? ` name:${quoted(spans[0] ?? "")}` : "";
              return (
                <tr key={message}>
                  <td className={styles.message} title={plain(message)}>
                    <Link
                      to="/t/$tenantId/traces"
                      params={{ tenantId }}
                      search={(was: Place) => ({ ...sameTime(was), q: `${query}${said}${only}` })}
                    >
                      {message === "" ? "(no message)" : plain(message)}
                    </Link>
                  </td>
                  <td className={styles.operation} title={spans.map(plain).join(", ")}>
                    {spans.map(plain).join(", ")}
                  </td>
                  <td className={table.number}>{count(total)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </section>
  );
}
