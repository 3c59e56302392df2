import { memo, type ReactNode, useMemo } from "react";
import controls from "../../parts/controls.module.css";
import { Icon } from "../../parts/icons";
import { Rows } from "../../parts/lists/Rows";
import { serviceColour } from "../../parts/pure/colours";
import { counted, duration, plain } from "../../parts/pure/formats";
import type { View } from "./Minimap";
import type { SpanRow, TraceModel } from "./model";
import styles from "./Trace.module.css";

interface WaterfallProps {
  model: TraceModel;
  /** Positions of the tree in sight, one per row. */
  seen: Int32Array;
  collapsed: ReadonlySet<number>;
  chosen: number;
  view: View;
  matches: ReadonlySet<number> | undefined;
  /** Whether only what the trace as a whole waited for stands out. */
  isCriticalOnly: boolean;
  onChoose: (position: number) => void;
  onToggle: (position: number) => void;
}

const ROW_PX = 26;
const INDENT_PX = 14;
const INDENTS_MAX = 16;
const TICKS = 5;

/** Spans as rows in the order of the tree, each with a bar where it was in time. */
export function Waterfall(props: WaterfallProps): ReactNode {
  const { model, seen, collapsed, chosen, view, matches, isCriticalOnly, onChoose, onToggle } = props;
  const chosenRow = useMemo(() => seen.indexOf(chosen), [seen, chosen]);
  const length = view.to - view.from;
  return (
    <div className={styles.columns}>
      <div className={styles.axis} aria-hidden="true">
        <span>Span</span>
        <div className={styles.ticks}>
          {Array.from({ length: TICKS }, (_, tick) => tick / TICKS).map((share) => (
            <span key={share} style={{ left: `${share * 100}%` }}>
              {duration(view.from + length * share)}
            </span>
          ))}
        </div>
      </div>
      <Rows
        role="treegrid"
        label="Spans"
        count={seen.length}
        height={ROW_PX}
        chosen={chosenRow}
        render={(index, id) => {
          const at = seen[index] ?? 0;
          const row = model.rows[at];
          return row ? (
            <SpanLine
              row={row}
              at={at}
              index={index}
              id={id}
              depth={model.tree.depth[at] ?? 0}
              below={(model.tree.size[at] ?? 1) - 1}
              isCollapsed={collapsed.has(at)}
              failedBelow={model.tree.failedBelow[at] === 1}
              isChosen={at === chosen}
              isDim={(matches !== undefined && !matches.has(at)) || (isCriticalOnly && !row.isCritical)}
              from={view.from}
              length={length}
              onChoose={onChoose}
              onToggle={onToggle}
            />
          ) : null;
        }}
      />
    </div>
  );
}

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
  from: number;
  length: number;
  onChoose: (position: number) => void;
  onToggle: (position: number) => void;
}

const LABEL_SPACE = 0.86;

const SpanLine = memo(function SpanLine(props: SpanLineProps): ReactNode {
  const { row, at, index, depth, below, isCollapsed, failedBelow, isChosen, isDim, from, length } = props;
  const left = (row.start - from) / length;
  const right = (row.start + row.duration - from) / length;
  const isOut = right < 0 || left > 1;
  const [start, end] = [Math.max(left, 0), Math.min(right, 1)];
  const isLabelLeft = end > LABEL_SPACE && start > 1 - LABEL_SPACE;
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
        {row.failed ? <span className={styles.sign}>Error</span> : null}
        {isCollapsed && failedBelow && !row.failed ? <span className={styles.sign}>Error below</span> : null}
      </div>
      <div className={styles.track} role="gridcell">
        {isOut ? null : (
          <>
            <span
              className={styles.bar}
              data-colour={serviceColour(row.service)}
              data-failed={row.failed}
              style={{ left: `${start * 100}%`, width: `${(end - start) * 100}%` }}
            />
            <span
              className={styles.took}
              style={isLabelLeft ? { right: `${(1 - start) * 100}%` } : { left: `${end * 100}%` }}
            >
              {duration(row.duration)}
            </span>
          </>
        )}
      </div>
    </div>
  );
});
