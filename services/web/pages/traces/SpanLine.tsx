import { memo, type ReactNode } from "react";
import controls from "../../parts/controls.module.css";
import { Icon } from "../../parts/icons";
import { serviceColour } from "../../parts/pure/colours";
import { count, counted, duration, plain } from "../../parts/pure/formats";
import type { Scale } from "../../parts/pure/gaps";
import type { Siblings } from "../../parts/pure/spanTree";
import type { SpanRow } from "./model";
import styles from "./Trace.module.css";
import type { LogMark } from "./useTraceLogs";

interface SpanLineProps {
  row: SpanRow;
  at: number;
  index: number;
  id: string;
  depth: number;
  below: number;
  isCollapsed: boolean;
  failedBelow: boolean;
  isChosen: boolean;
  isDim: boolean;
  /** The alike siblings that this row stands for. */
  group: Siblings | undefined;
  /** Where the bar begins and ends, and what of the scale is in view. */
  left: number;
  right: number;
  from: number;
  length: number;
  scale: Scale;
  marks: readonly LogMark[];
  onChoose: (position: number) => void;
  onToggle: (position: number) => void;
  onOpenGroup: (position: number) => void;
}

const INDENT_PX = 14;
const INDENTS_MAX = 16;
const LABEL_SPACE = 0.86;
/** Of a span with thousands of records, so many are marks. */
const MARKS_MAX = 40;

/** A span, or many alike ones, as a row of the waterfall. */
export const SpanLine = memo(function SpanLine(props: SpanLineProps): ReactNode {
  const { row, at, index, depth, below, isCollapsed, failedBelow, isChosen, isDim, group, from, length } = props;
  const left = (props.left - from) / length;
  const right = (props.right - from) / length;
  const isOut = right < 0 || left > 1;
  const [start, end] = [Math.max(left, 0), Math.min(right, 1)];
  const isLabelLeft = end > LABEL_SPACE && start > 1 - LABEL_SPACE;
  const hasFailed = group ? group.failed > 0 : row.failed;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrows and Enter act on the treegrid that holds the rows
    <div
      className={styles.row}
      role="row"
      id={props.id}
      aria-level={depth + 1}
      aria-rowindex={index + 1}
      aria-selected={isChosen}
      aria-expanded={below > 0 ? !isCollapsed : undefined}
      data-dim={isDim}
      onClick={() => props.onChoose(at)}
    >
      <div
        className={styles.name}
        role="gridcell"
        style={{ paddingLeft: 8 + Math.min(depth, INDENTS_MAX) * INDENT_PX }}
      >
        {below > 0 ? (
          <button
            type="button"
            className={styles.caret}
            tabIndex={-1}
            aria-label={isCollapsed ? `Show ${counted(below, "span")} below` : "Hide the spans below"}
            onClick={(event) => {
              event.stopPropagation();
              props.onToggle(at);
            }}
          >
            <Icon name={isCollapsed ? "right" : "down"} size={12} />
          </button>
        ) : (
          <span className={styles.noCaret} />
        )}
        {group ? (
          <button
            type="button"
            className={styles.group}
            tabIndex={-1}
            title="Show them one by one"
            aria-label={`Show ${count(group.members.length)} alike spans one by one`}
            onClick={(event) => {
              event.stopPropagation();
              props.onOpenGroup(at);
            }}
          >
            {count(group.members.length)} ×
          </button>
        ) : null}
        <span className={controls.dot} data-colour={serviceColour(row.service)} aria-hidden="true" />
        <span className={styles.text} title={`${plain(row.name)} · ${plain(row.service)}`}>
          {depth > INDENTS_MAX ? <span className={styles.of}>{depth}› </span> : null}
          {plain(row.name)}
          <span className={styles.of}>{plain(row.service)}</span>
        </span>
        {row.isOrphan ? (
          <span className={styles.warning} title="The span names a parent that is not in the trace">
            no parent
          </span>
        ) : null}
        {row.isMoved ? (
          <span
            className={styles.warning}
            title="The clock of this span is not that of its parent; its start was corrected"
          >
            clock
          </span>
        ) : null}
        {group && group.failed > 0 ? <span className={styles.sign}>{counted(group.failed, "error")}</span> : null}
        {!group && row.failed ? <span className={styles.sign}>Error</span> : null}
        {isCollapsed && !group && failedBelow && !row.failed ? <span className={styles.sign}>Error below</span> : null}
      </div>
      <div className={styles.track} role="gridcell">
        {props.scale.gaps.map((gap) => (
          <Fold
            key={gap.from}
            start={props.scale.place(gap.from)}
            end={props.scale.place(gap.to)}
            {...{ from, length }}
          />
        ))}
        {isOut ? null : (
          <>
            <span
              className={styles.bar}
              data-colour={serviceColour(row.service)}
              data-failed={hasFailed}
              data-group={group !== undefined}
              style={{ left: `${start * 100}%`, width: `${(end - start) * 100}%` }}
            />
            <span
              className={styles.took}
              style={isLabelLeft ? { right: `${(1 - start) * 100}%` } : { left: `${end * 100}%` }}
            >
              {duration(group ? group.end - group.start : row.duration)}
            </span>
          </>
        )}
        {props.marks.slice(0, MARKS_MAX).map((mark) => (
          <Mark key={mark.id} mark={mark} share={(props.scale.place(mark.ns) - from) / length} />
        ))}
      </div>
    </div>
  );
});

/** A record of the span, where it was written. */
function Mark({ mark, share }: { mark: LogMark; share: number }): ReactNode {
  if (share < 0 || share > 1) return null;
  return (
    <span
      className={styles.mark}
      data-severity={mark.word}
      title={`${mark.word}: ${mark.text}`}
      style={{ left: `${share * 100}%` }}
    />
  );
}

/** A stretch in which nothing begins or ends, as it stands in a row. */
function Fold({ start, end, from, length }: { start: number; end: number; from: number; length: number }): ReactNode {
  const [left, right] = [(start - from) / length, (end - from) / length];
  if (right < 0 || left > 1) return null;
  return (
    <span
      className={styles.fold}
      style={{ left: `${Math.max(0, left) * 100}%`, width: `${(Math.min(1, right) - Math.max(0, left)) * 100}%` }}
    />
  );
}
