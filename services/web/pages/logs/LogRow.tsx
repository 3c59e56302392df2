import { memo, type ReactNode } from "react";
import type { LogRecord } from "../../api/schema";
import { ServiceName } from "../../parts/controls";
import { Icon } from "../../parts/icons";
import { plain, severity, valueText } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import severities from "../../parts/severity.module.css";
import styles from "./Logs.module.css";
import { fieldOf } from "./recordText";
import { Unfolded } from "./Unfolded";

interface LogRowProps {
  record: LogRecord;
  index: number;
  id: string;
  zone: Zone;
  withDay: boolean;
  isChosen: boolean;
  onOpen: (record: LogRecord) => void;
  /** Attributes that have columns of their own. */
  columns?: readonly string[];
  isWrapped?: boolean;
  isDense?: boolean;
  isPicked?: boolean;
  isFound?: boolean;
  /** Called for a click with Shift. */
  onPick?: (index: number) => void;
  /** Whether all of it is shown below its line; called with its id to change that. */
  isUnfolded?: boolean;
  onUnfold?: (id: string) => void;
  /** The query that values of an unfolded record are added to. */
  query?: string;
}

const NONE: readonly string[] = [];
const COLUMN_PX = 144;

/** The columns of the list, if there are more than its own. */
const template = (columns: readonly string[], withDay: boolean): { gridTemplateColumns?: string } =>
  columns.length === 0
    ? {}
    : {
        gridTemplateColumns: `${withDay ? 168 : 104}px 64px 144px repeat(${columns.length}, ${COLUMN_PX}px) minmax(160px, 1fr)`,
      };

/** The heads of the columns. */
export const LogHead = ({
  zone,
  withDay,
  columns = NONE,
}: {
  zone: Zone;
  withDay: boolean;
  columns?: readonly string[];
}): ReactNode => (
  <div className={`${styles.head} ${withDay ? styles.withDay : ""}`} style={template(columns, withDay)}>
    <span>{zone ?? "Local time"}</span>
    <span>Severity</span>
    <span className={styles.service}>Service</span>
    {columns.map((name) => (
      <span key={name} className={styles.cell} title={plain(name)}>
        {plain(name)}
      </span>
    ))}
    <span>Body</span>
  </div>
);

const SHOWN_CHARS = 600;
const WRAPPED_CHARS = 4_000;

/** One record in one line. */
export const LogRow = memo(function LogRow({
  record,
  index,
  id,
  zone,
  withDay,
  isChosen,
  onOpen,
  columns = NONE,
  isWrapped = false,
  isDense = false,
  isPicked = false,
  isFound = false,
  onPick,
  isUnfolded = false,
  onUnfold,
  query = "",
}: LogRowProps): ReactNode {
  const word = severity(record.severity_number);
  const { day, time } = moment(record.timestamp, zone);
  const text = valueText(record.body);
  const body = isWrapped ? text.slice(0, WRAPPED_CHARS) : text.slice(0, SHOWN_CHARS).replaceAll("\n", " ⏎ ");
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrow keys, j, k and Enter act on the list that holds the rows
    <div
      className={`${styles.row} ${withDay ? styles.withDay : ""}`}
      role="row"
      id={id}
      aria-rowindex={index + 1}
      aria-selected={isChosen}
      data-severity={word}
      data-look={isWrapped ? "wrapped" : isDense ? "dense" : undefined}
      data-picked={isPicked || undefined}
      data-found={isFound || undefined}
      data-unfolded={isUnfolded || undefined}
      style={template(columns, withDay)}
      // Otherwise a click with Shift marks text as well.
      onMouseDown={(event) => event.shiftKey && onPick && event.preventDefault()}
      onClick={(event) => {
        if (event.shiftKey && onPick) onPick(index);
        else onOpen(record);
      }}
    >
      <span role="gridcell" className={styles.time}>
        {onUnfold ? (
          <button
            type="button"
            className={styles.unfold}
            tabIndex={-1}
            title={isUnfolded ? "Fold it (x)" : "Unfold it here (x)"}
            aria-label={isUnfolded ? "Fold the record" : "Unfold the record here"}
            aria-expanded={isUnfolded}
            onClick={(event) => {
              event.stopPropagation();
              onUnfold(record.id);
            }}
          >
            <Icon name={isUnfolded ? "down" : "right"} size={12} />
          </button>
        ) : null}
        {withDay ? `${day} ` : ""}
        {time}
      </span>
      <span
        role="gridcell"
        className={`${styles.severity} ${severities.severity}`}
        data-severity={word}
        title={plain(record.severity_text)}
      >
        {word === "none" ? plain(record.severity_text) || "–" : word}
      </span>
      <span role="gridcell" className={styles.service}>
        <ServiceName name={record.service_name} />
      </span>
      {columns.map((name) => {
        const value = fieldOf(record, name);
        return (
          <span key={name} role="gridcell" title={value === undefined ? undefined : valueText(value)}>
            {value === undefined ? "" : valueText(value)}
          </span>
        );
      })}
      <span role="gridcell" className={styles.body}>
        {body}
      </span>
      {isUnfolded ? <Unfolded record={record} query={query} /> : null}
    </div>
  );
});
