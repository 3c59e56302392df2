import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { type Line, LineChart, type Mark } from "../../charts/LineChart";
import { Button, buttonClass } from "../../parts/controls";
import { counted, duration, percent, rate } from "../../parts/pure/formats";
import { clock, iso } from "../../parts/pure/times";
import table from "../../parts/table.module.css";
import type { Red } from "./red";
import styles from "./Service.module.css";

interface RedChartsProps {
  lines: Red;
  marks: readonly Mark[];
  /** What finds the spans that are counted, and the service's records. */
  query: string;
  ofService: string;
  /** The step that somebody has chosen, by its start. */
  picked: number | undefined;
  onPick: (ms: number | undefined) => void;
  what: string;
}

const HEIGHT = 140;
const [FAST, SLOW, SLOWEST] = [2, 0, 3];

/** Three charts over one time: how many, how many of them failed, how long they took. A click on a point leads on. */
export function RedCharts({ lines, marks, query, ofService, picked, onPick, what }: RedChartsProps): ReactNode {
  const { zone } = useRange();
  const setPlace = useSetPlace();
  const { startMs, stepMs, steps } = lines;
  const shared = {
    ...{ startMs, stepMs, steps, zone, marks, height: HEIGHT, picked },
    onPick: (ms: number) => onPick(ms === picked ? undefined : ms),
    onBrush: (from: number, to: number) => setPlace({ range: undefined, from: iso(from), to: iso(to) }),
  };
  const line = (label: string, values: Line["values"], colour: number): Line => ({ key: label, label, colour, values });
  const at = picked === undefined ? -1 : Math.round((picked - startMs) / stepMs);
  return (
    <>
      <div className={styles.charts}>
        <Titled title={what}>
          <LineChart {...shared} label="per second" unit="/s" lines={[line(what, lines.rates, 0)]} />
        </Titled>
        <Titled title="Errors">
          <LineChart {...shared} label="failed" unit="%" lines={[line("Errors", inPercent(lines), -1)]} />
        </Titled>
        <Titled
          title="Duration"
          legend={[
            ["p50", FAST],
            ["p95", SLOW],
            ["p99", SLOWEST],
          ]}
        >
          <LineChart
            {...shared}
            label="took"
            unit="ns"
            lines={[line("p50", lines.p50, FAST), line("p95", lines.p95, SLOW), line("p99", lines.p99, SLOWEST)]}
          />
        </Titled>
      </div>
      {at >= 0 && at < steps ? (
        <div className={styles.picked} role="status">
          <StepWords lines={lines} at={at} what={what} />
          <StepLinks lines={lines} at={at} query={query} ofService={ofService} />
          <Button small look="quiet" onClick={() => onPick(undefined)}>
            Clear
          </Button>
        </div>
      ) : (
        <p className={styles.hint}>Click a point for its traces and logs; drag to zoom.</p>
      )}
      <details className={styles.table}>
        <summary>As a table</summary>
        <StepTable lines={lines} query={query} ofService={ofService} what={what} />
      </details>
    </>
  );
}

const inPercent = (lines: Red): (number | null)[] => lines.shares.map((one) => (one === null ? null : one * 100));

function Titled({
  title,
  legend = [],
  children,
}: {
  title: string;
  legend?: readonly (readonly [string, number])[];
  children: ReactNode;
}): ReactNode {
  return (
    <section className={styles.chart} aria-label={title}>
      <h2>
        {title}
        {legend.map(([name, colour]) => (
          <span key={name} className={styles.legend}>
            <span className={styles.swatch} data-colour={colour} aria-hidden="true" />
            {name}
          </span>
        ))}
      </h2>
      {children}
    </section>
  );
}

function StepWords({ lines, at, what }: { lines: Red; at: number; what: string }): ReactNode {
  const { zone } = useRange();
  const { startMs, stepMs } = lines;
  const [number, failed] = [lines.counts[at] ?? 0, lines.errors[at] ?? 0];
  const p95 = lines.p95[at];
  return (
    <span>
      <b>
        {clock(startMs + at * stepMs, zone)} – {clock(startMs + (at + 1) * stepMs, zone, true)}
      </b>
      {`  ${counted(number, what === "Requests" ? "request" : "span")}, `}
      {failed === 0 ? "none failed" : `${counted(failed, "error")} (${percent(failed / number)})`}
      {p95 === null || p95 === undefined ? "" : `, p95 ${duration(p95)}`}
    </span>
  );
}

interface StepLinksProps {
  lines: Red;
  at: number;
  query: string;
  ofService: string;
}

/** From a point of the charts to what it was made of. */
function StepLinks({ lines, at, query, ofService }: StepLinksProps): ReactNode {
  const tenantId = useTenantId();
  const { zone } = useRange();
  const from = iso(lines.startMs + at * lines.stepMs);
  const to = iso(lines.startMs + (at + 1) * lines.stepMs);
  const when = { from, to, ...(zone ? { tz: zone } : {}) };
  const link = (path: "traces" | "logs", q: string, name: string): ReactNode => (
    <Link
      to={`/t/$tenantId/${path}`}
      params={{ tenantId }}
      search={{ ...when, q }}
      preload={false}
      className={buttonClass("plain", true)}
    >
      {name}
    </Link>
  );
  return (
    <span className={styles.links}>
      {link("traces", query, "Traces here")}
      {(lines.errors[at] ?? 0) > 0 ? link("traces", `${query} status:error`, "Failed traces here") : null}
      {mayI("log:read") ? link("logs", ofService, "Logs here") : null}
    </span>
  );
}

function StepTable({ lines, query, ofService, what }: Omit<StepLinksProps, "at"> & { what: string }): ReactNode {
  const { zone } = useRange();
  const took = (ns: number | null | undefined): ReactNode =>
    ns === null || ns === undefined ? <span className={table.faint}>–</span> : duration(ns);
  return (
    <table className={table.table}>
      <thead>
        <tr>
          <th scope="col">From</th>
          <th scope="col" className={table.number}>
            {what}
          </th>
          <th scope="col" className={table.number}>
            Errors
          </th>
          <th scope="col" className={table.number}>
            p50
          </th>
          <th scope="col" className={table.number}>
            p95
          </th>
          <th scope="col" className={table.number}>
            p99
          </th>
          <th scope="col">Lead on</th>
        </tr>
      </thead>
      <tbody>
        {lines.counts.map((number, at) =>
          number === 0 ? null : (
            // biome-ignore lint/suspicious/noArrayIndexKey: a step is its place in time
            <tr key={at}>
              <td>{clock(lines.startMs + at * lines.stepMs, zone)}</td>
              <td className={table.number} title={counted(number, what === "Requests" ? "request" : "span")}>
                {rate(number / (lines.stepMs / 1000))}
              </td>
              <td className={table.number}>{percent(lines.shares[at] ?? 0)}</td>
              <td className={table.number}>{took(lines.p50[at])}</td>
              <td className={table.number}>{took(lines.p95[at])}</td>
              <td className={table.number}>{took(lines.p99[at])}</td>
              <td>
                <StepLinks lines={lines} at={at} query={query} ofService={ofService} />
              </td>
            </tr>
          ),
        )}
      </tbody>
    </table>
  );
}
