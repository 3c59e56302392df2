import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import type { Pattern, Patterns as PatternList } from "../../api/schema";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { Sparkline } from "../../charts/Sparkline";
import { Button, ServiceName } from "../../parts/controls";
import { Split } from "../../parts/lists/Results";
import { isMistaken } from "../../parts/lists/useResults";
import { count, counted, percent, plain } from "../../parts/pure/formats";
import { patternTerm, withTerm } from "../../parts/pure/terms";
import { iso } from "../../parts/pure/times";
import { NoMatches } from "../../parts/query/NoMatches";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import type { ViewProps } from "./Logs";
import styles from "./Patterns.module.css";

const SHOWN = 100;
const SERVICES_SHOWN = 2;

/** The records of a range folded into forms, with what is new or gone against the range before. */
export function Patterns({ query, line, fields }: ViewProps): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const [isCompared, setCompared] = useState(true);
  const before = { start: iso(2 * range.startMs - range.endMs), end: range.start };
  const answer = useQuery({
    queryKey: ["patterns", tenantId, range.start, range.end, query, isCompared],
    queryFn: ({ signal }) => {
      const asked = { start: range.start, end: range.end, query, limit: SHOWN };
      const compared = isCompared ? { compare_start: before.start, compare_end: before.end } : {};
      return answered(api.GET("/api/v1/logs/patterns", { params: { query: { ...asked, ...compared } }, signal }));
    },
  });
  // Where nothing was before, everything is new, which says nothing.
  const hasBefore = (answer.data?.compared_lines?.read ?? 0) > 0;
  const isMistake = isMistaken(answer.error);
  return (
    <>
      {line(answer.error)}
      <Split>
        {fields(!isMistake)}
        <div className={styles.patterns}>
          <div className={styles.tools}>
            <label>
              <input type="checkbox" checked={isCompared} onChange={(event) => setCompared(event.target.checked)} />{" "}
              What is new or gone against the same time before
            </label>
            {answer.data ? (
              <span className={styles.note}>
                {read(answer.data)}
                {isCompared && !hasBefore ? "; none match in the time before" : ""}
              </span>
            ) : null}
          </div>
          {isMistake ? <Empty title="The query has a mistake">It is underlined above.</Empty> : null}
          {answer.error && !isMistake ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
          {answer.isPending ? <Skeleton /> : null}
          {answer.data?.items.length === 0 ? (
            <NoMatches signal="logs" what="records" query={query} hint={answer.data.hint} />
          ) : null}
          {answer.data && answer.data.items.length > 0 ? (
            <table className={`${table.table} ${answer.isPlaceholderData ? table.dim : ""}`}>
              <thead>
                <tr>
                  <th scope="col" className={table.number}>
                    Records
                  </th>
                  {isCompared && hasBefore ? (
                    <th scope="col" className={table.number}>
                      Before
                    </th>
                  ) : null}
                  <th scope="col">Over time</th>
                  <th scope="col">Pattern</th>
                  <th scope="col">Service</th>
                </tr>
              </thead>
              <tbody>
                {answer.data.items.map((one) => (
                  <PatternRow
                    key={one.pattern}
                    pattern={one}
                    query={query}
                    before={before}
                    isCompared={isCompared && hasBefore}
                    share={one.count / Math.max(1, answer.data.lines.read)}
                  />
                ))}
              </tbody>
            </table>
          ) : null}
        </div>
      </Split>
    </>
  );
}

/** How much was read, if that is not all. */
function read({ pattern_count: patterns, lines }: PatternList): string {
  const of = lines.read < lines.matched ? `the newest ${count(lines.read)} of ` : "";
  return `${counted(patterns, "pattern")} in ${of}${counted(lines.matched, "record")}`;
}

interface PatternRowProps {
  pattern: Pattern;
  query: string;
  before: { start: string; end: string };
  isCompared: boolean;
  share: number;
}

function PatternRow({ pattern: one, query, before, isCompared, share }: PatternRowProps): ReactNode {
  const setPlace = useSetPlace();
  const found = patternTerm(one.pattern);
  const show = (added: string): void =>
    setPlace({
      view: undefined,
      q: withTerm(query, added),
      // What is gone has no records in this range.
      ...(one.change === "gone" ? { range: undefined, from: before.start, to: before.end } : {}),
    });
  return (
    <tr>
      <td className={table.number} title={percent(share)}>
        {count(one.count)}
      </td>
      {isCompared ? <td className={`${table.number} ${table.faint}`}>{count(one.compared_count ?? 0)}</td> : null}
      <td>
        {one.count > 0 ? (
          <Sparkline values={one.counts} label={`Records of ${plain(one.pattern)} over time`} width={96} height={20} />
        ) : null}
      </td>
      <td className={styles.pattern}>
        {one.change && isCompared ? (
          <span className={styles.change} data-change={one.change}>
            {one.change}
          </span>
        ) : null}
        <code title={plain(one.sample)}>{plain(one.pattern)}</code>
        {found ? (
          <span className={styles.actions}>
            <Button small aria-label={`Records of ${plain(one.pattern)}`} onClick={() => show(found)}>
              Records
            </Button>
            <Button
              small
              aria-label={`Without ${plain(one.pattern)}`}
              onClick={() => setPlace({ q: withTerm(query, `-${found}`) })}
            >
              − Not
            </Button>
          </span>
        ) : null}
      </td>
      <td>
        <span className={styles.services}>
          {one.services.slice(0, SERVICES_SHOWN).map((name) => (
            <ServiceName key={name} name={name} />
          ))}
          {one.services.length > SERVICES_SHOWN ? (
            <span className={table.faint}>and {count(one.services.length - SERVICES_SHOWN)} more</span>
          ) : null}
        </span>
      </td>
    </tr>
  );
}
