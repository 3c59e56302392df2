import { type ReactNode, useMemo, useRef } from "react";
import { Button } from "../../parts/controls";
import { Rows } from "../../parts/lists/Rows";
import { counted, duration } from "../../parts/pure/formats";
import type { View } from "./Minimap";
import type { Places, TraceModel } from "./model";
import { SpanLine } from "./SpanLine";
import styles from "./Trace.module.css";
import type { Folding } from "./useFolding";
import type { LogMark } from "./useTraceLogs";
import { useWheelZoom } from "./useWheelZoom";

interface WaterfallProps {
  model: TraceModel;
  places: Places;
  folding: Folding;
  marks: ReadonlyMap<number, readonly LogMark[]>;
  chosen: number;
  view: View;
  matches: ReadonlySet<number> | undefined;
  /** Whether only what the trace as a whole waited for stands out. */
  isCriticalOnly: boolean;
  onChoose: (position: number) => void;
  /** Zooms about a place of the whole trace. */
  onZoom: (factor: number, around: number) => void;
}

const ROW_PX = 26;
const TICKS = 5;
const NO_MARKS: readonly LogMark[] = [];

/** Spans as rows in the order of the tree, each with a bar where it was in time. Ctrl and the wheel zoom. */
export function Waterfall(props: WaterfallProps): ReactNode {
  const { model, places, folding, marks, chosen, view, matches, isCriticalOnly, onChoose, onZoom } = props;
  const { seen, collapsed, groups, level, levels } = folding;
  const chosenRow = useMemo(() => seen.indexOf(chosen), [seen, chosen]);
  const length = view.to - view.from;
  const frame = useRef<HTMLDivElement>(null);
  const ticks = useRef<HTMLDivElement>(null);
  useWheelZoom(frame, true, (factor, _, event) => {
    const { left, width } = ticks.current?.getBoundingClientRect() ?? { left: 0, width: 1 };
    const share = Math.max(0, Math.min(1, (event.clientX - left) / width));
    onZoom(factor, view.from + share * length);
  });
  const { scale } = places;
  const shareOf = (ns: number): number => (scale.place(ns) - view.from) / length;
  const gaps = scale.gaps.filter(({ from, to }) => shareOf(to) > 0 && shareOf(from) < 1);
  return (
    <div ref={frame} className={styles.columns}>
      <div className={styles.axis}>
        <span>
          Span
          <Button
            small
            look="quiet"
            icon
            disabled={level <= 1}
            aria-label="One level less"
            title="One level less (<)"
            onClick={() => folding.showLevels(level - 1)}
          >
            −
          </Button>
          <span className={styles.level} aria-live="polite">
            {level >= levels ? counted(levels, "level") : `${level} of ${counted(levels, "level")}`}
          </span>
          <Button
            small
            look="quiet"
            icon
            disabled={level >= levels}
            aria-label="One level more"
            title="One level more (>)"
            onClick={() => folding.showLevels(level + 1)}
          >
            +
          </Button>
        </span>
        <div ref={ticks} className={styles.ticks} aria-hidden="true">
          {Array.from({ length: TICKS }, (_, tick) => tick / TICKS).map((share) => (
            <span key={share} style={{ left: `${share * 100}%` }}>
              {duration(scale.moment(view.from + length * share))}
            </span>
          ))}
          {gaps.map(({ from, to }) => (
            <em
              key={from}
              title={`For ${duration(to - from)} nothing begins or ends`}
              style={{ left: `${((shareOf(from) + shareOf(to)) / 2) * 100}%` }}
            >
              ⋯ {duration(to - from)}
            </em>
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
          if (!row) return null;
          const group = groups.get(at);
          return (
            <SpanLine
              row={row}
              at={at}
              index={index}
              id={id}
              depth={model.tree.depth[at] ?? 0}
              below={group ? 0 : (model.tree.size[at] ?? 1) - 1}
              isCollapsed={collapsed.has(at)}
              failedBelow={model.tree.failedBelow[at] === 1}
              isChosen={at === chosen}
              isDim={(matches !== undefined && !matches.has(at)) || (isCriticalOnly && !row.isCritical)}
              group={group}
              left={group ? scale.place(group.start) : (places.left[at] ?? 0)}
              right={group ? scale.place(group.end) : (places.right[at] ?? 0)}
              from={view.from}
              length={length}
              scale={scale}
              marks={marks.get(at) ?? NO_MARKS}
              onChoose={onChoose}
              onToggle={folding.toggle}
              onOpenGroup={folding.openGroup}
            />
          );
        }}
      />
    </div>
  );
}
