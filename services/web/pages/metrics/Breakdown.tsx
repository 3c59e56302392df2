import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import { asApiError, inWords } from "../../api/errors";
import type { Field } from "../../api/schema";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { LineChart } from "../../charts/LineChart";
import { Button } from "../../parts/controls";
import { count, plain } from "../../parts/pure/formats";
import type { MetricQuery } from "../../parts/pure/metricQueries";
import { iso } from "../../parts/pure/times";
import { useFieldNames } from "../../parts/query/useFieldNames";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import styles from "./Metrics.module.css";
import { commonUnit, drawn } from "./series";

const LABELS_SHOWN = 24;
const SERIES_SHOWN = 8;
/** Labels that another one says already. */
const SAME = new Set(["service.name", "scope"]);

interface Asked {
  metric: string;
  query: string;
  aggregation?: string;
}

interface BreakdownProps {
  query: MetricQuery;
  asked: Asked;
  /** Called with the label that the query shall be broken down by. */
  onBy: (label: string) => void;
}

/** The metric by each of its labels, in small charts. */
export function Breakdown({ query, asked, onBy }: BreakdownProps): ReactNode {
  const fields = useFieldNames("metrics", "", true, query.metric);
  if (fields.error) return <ErrorNote error={fields.error} />;
  if (!fields.data) return <Skeleton />;
  const labels = fields.data.items.filter(({ name }) => !SAME.has(name));
  const several = labels.filter((label) => label.values > 1).toSorted((a, b) => a.values - b.values);
  const single = labels.filter((label) => label.values === 1);
  return (
    <div className={styles.breakdown}>
      {several.length === 0 ? (
        <Empty title="Nothing to break down by">No label of this metric has several values in this range.</Empty>
      ) : null}
      <div className={styles.multiples}>
        {several.slice(0, LABELS_SHOWN).map((label) => (
          <ByLabel
            key={`${label.place} ${label.name}`}
            label={label}
            asked={asked}
            isBy={query.by.length === 1 && query.by[0] === label.name}
            onBy={onBy}
          />
        ))}
      </div>
      {several.length > LABELS_SHOWN ? (
        <p className={styles.note}>And {count(several.length - LABELS_SHOWN)} more labels.</p>
      ) : null}
      {single.length > 0 ? (
        <p className={styles.note}>With one value only: {single.map((label) => plain(label.name)).join(", ")}.</p>
      ) : null}
    </div>
  );
}

interface ByLabelProps {
  label: Field;
  asked: Asked;
  isBy: boolean;
  onBy: (label: string) => void;
}

function ByLabel({ label, asked, isBy, onBy }: ByLabelProps): ReactNode {
  const tenantId = useTenantId();
  const { start, end, zone } = useRange();
  const setPlace = useSetPlace();
  const answer = useQuery({
    queryKey: ["metric", tenantId, "by", start, end, asked, label.name],
    queryFn: ({ signal }) => {
      const body = { queries: [{ ...asked, name: "a", group_by: [label.name] }], start, end };
      const answer = api.POST("/api/v1/metrics/formulas", {
        body: { ...body, limit: SERIES_SHOWN, top_by: "max" as const },
        signal,
      });
      return answered(answer).then((results) => drawn(results, () => true));
    },
    structuralSharing: false,
  });
  const { data } = answer;
  const values = `${count(label.values)}${label.cardinality === "many" ? " or more" : ""} values`;
  return (
    <section className={styles.multiple} aria-label={`By ${plain(label.name)}`} data-old={answer.isPlaceholderData}>
      <header>
        <h3 title={plain(label.name)}>{plain(label.name)}</h3>
        <span>{values}</span>
        <Button small aria-pressed={isBy} onClick={() => onBy(label.name)}>
          Break down
        </Button>
      </header>
      {data && data.lines.length > 0 ? (
        <>
          <LineChart
            label={data.omitted > 0 ? `${data.lines.length} of ${data.lines.length + data.omitted}` : ""}
            startMs={data.startMs}
            stepMs={data.stepMs}
            steps={data.steps}
            lines={data.lines}
            unit={commonUnit(data.lines)}
            zone={zone}
            height={112}
            onBrush={(from, to) => setPlace({ range: undefined, from: iso(from), to: iso(to) })}
          />
          <ul className={styles.keys}>
            {data.lines.map((line) => (
              <li key={line.key}>
                <span className={styles.swatch} data-colour={line.colour % 8} aria-hidden="true" />
                {plain(line.labels[label.name] ?? "") || "(none)"}
              </li>
            ))}
          </ul>
        </>
      ) : (
        <p className={styles.none}>
          {answer.error ? inWords(asApiError(answer.error)) : data ? "No values in this range." : " "}
        </p>
      )}
    </section>
  );
}
