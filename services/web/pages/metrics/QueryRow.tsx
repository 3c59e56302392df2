import type { ReactNode } from "react";
import type { Metric } from "../../api/schema";
import { Button } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { Icon } from "../../parts/icons";
import { plain } from "../../parts/pure/formats";
import { aggregations, type MetricQuery, usualAggregation } from "../../parts/pure/metricQueries";
import { unitName } from "../../parts/pure/units";
import { Picker } from "../../parts/query/Picker";
import { QueryLine } from "../../parts/query/QueryLine";
import { countsByName, useFieldNames } from "../../parts/query/useFieldNames";
import styles from "./Metrics.module.css";

interface QueryRowProps {
  /** By which formulas name it. */
  name: string;
  query: MetricQuery;
  metric: Metric | undefined;
  /** The names of all metrics. */
  names: readonly string[];
  error: unknown;
  onChange: (query: MetricQuery) => void;
  onRemove?: () => void;
}

/** One query: metric, aggregation, filter, and the labels that tell its series apart. */
export function QueryRow({ name, query, metric, names, error, onChange, onRemove }: QueryRowProps): ReactNode {
  const fields = useFieldNames("metrics", "", query.metric !== "", query.metric);
  const labels = [...countsByName([fields.data]).keys()].filter((label) => !query.by.includes(label));
  const offered = aggregations(metric?.type ?? "");
  const usual = metric ? usualAggregation(metric) : "";
  const chosen = query.aggregation || usual;
  const of = name.toUpperCase();
  return (
    <section className={styles.query} aria-label={`Query ${of}`}>
      <Button
        small
        className={styles.letter ?? ""}
        aria-pressed={!query.isHidden}
        aria-label={`Query ${of} in the chart`}
        title={query.isHidden ? "Not in the chart, for the formula alone" : "In the chart"}
        onClick={() => onChange({ ...query, isHidden: !query.isHidden })}
      >
        {name}
      </Button>
      <div className={styles.metricName}>
        <Picker
          label={`Metric of query ${of}`}
          value={query.metric}
          choices={names}
          placeholder="Metric"
          onChoose={(next) => onChange({ ...query, metric: next, aggregation: "", by: [] })}
        />
      </div>
      <select
        className={`${controls.input} ${styles.select}`}
        aria-label={`Aggregation of query ${of}`}
        title={metric ? `${metric.type}, ${unitName(metric.unit) || "without a unit"}` : undefined}
        value={chosen}
        disabled={query.metric === ""}
        onChange={(event) =>
          onChange({ ...query, aggregation: event.target.value === usual ? "" : event.target.value })
        }
      >
        {[...new Set([...offered, ...(chosen ? [chosen] : [])])].map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <QueryLine
        signal="metrics"
        metric={query.metric}
        label={`Filter of query ${of}`}
        query={query.query}
        placeholder="service:checkout -http.route:/health*"
        error={error}
        onRun={(next) => onChange({ ...query, query: next })}
      />
      <div className={styles.by}>
        <span>by</span>
        {query.by.map((label) => (
          <Button
            key={label}
            small
            title={`No longer by ${plain(label)}`}
            onClick={() => onChange({ ...query, by: query.by.filter((one) => one !== label) })}
          >
            {plain(label)} <Icon name="close" size={12} />
          </Button>
        ))}
        <div className={styles.label}>
          <Picker
            // Begins anew with each label that was taken.
            key={query.by.join(" ")}
            label={`Label for query ${of}`}
            value=""
            choices={labels}
            placeholder="label"
            onChoose={(label) => onChange({ ...query, by: [...query.by, label] })}
          />
        </div>
      </div>
      {onRemove ? (
        <Button look="quiet" icon small aria-label={`Remove query ${of}`} title="Remove" onClick={onRemove}>
          <Icon name="close" />
        </Button>
      ) : null}
    </section>
  );
}
