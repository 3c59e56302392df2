import { memo, type ReactNode } from "react";
import type { LogRecord } from "../../api/schema";
import { ServiceName } from "../../parts/controls";
import { plain, severity, valueText } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import severities from "../../parts/severity.module.css";
import styles from "./Logs.module.css";

interface LogRowProps {
  record: LogRecord;
  index: number;
  id: string;
  zone: Zone;
  withDay: boolean;
  isChosen: boolean;
  onOpen: (record: LogRecord) => void;
}

/** The heads of the columns. */
export const LogHead = ({ zone, withDay }: { zone: Zone; withDay: boolean }): ReactNode => (
  <div className={`${styles.head} ${withDay ? styles.withDay : ""}`}>
    <span>{zone ?? "Local time"}</span>
    <span>Severity</span>
    <span className={styles.service}>Service</span>
    <span>Body</span>
  </div>
);

const SHOWN_CHARS = 600;

/** One record in one line. */
export const LogRow = memo(function LogRow({
  record,
  index,
  id,
  zone,
  withDay,
  isChosen,
  onOpen,
}: LogRowProps): ReactNode {
  const word = severity(record.severity_number);
  const { day, time } = moment(record.timestamp, zone);
  const body = valueText(record.body).slice(0, SHOWN_CHARS).replaceAll("\n", " ⏎ ");
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrow keys, j, k and Enter act on the list that holds the rows
    <div
      className={`${styles.row} ${withDay ? styles.withDay : ""}`}
      role="row"
      id={id}
      aria-rowindex={index + 1}
      aria-selected={isChosen}
      data-severity={word}
      onClick={() => onOpen(record)}
    >
      <span role="gridcell" className={styles.time}>
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
      <span role="gridcell">{body}</span>
    </div>
  );
});
