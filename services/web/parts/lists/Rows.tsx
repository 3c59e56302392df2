import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, type UIEvent, useEffect, useId, useRef, useState } from "react";
import styles from "./Rows.module.css";

interface RowsProps {
  label: string;
  count: number;
  height: number;
  /** The row that keys act on; -1 for none. */
  chosen: number;
  /** The row of this number; its element has this id. */
  render: (index: number, id: string) => ReactNode;
  /** Called with how far the arrow keys go; for lists whose arrow keys no page has. */
  onMove?: (by: number) => void;
  /** Called when the end of the list comes near. */
  onEnd?: () => void;
  onScroll?: (event: UIEvent<HTMLDivElement>) => void;
  /** Another number scrolls to the top. */
  topAt?: number;
  /** Whether rows are as high as they need; `height` is what most have. */
  isMeasured?: boolean;
  role?: "grid" | "treegrid" | "listbox";
  children?: ReactNode;
}

const OVERSCAN = 12;
const NEAR = 60;

/** A list of rows of one height of which only those in sight are there. */
export function Rows({
  label,
  count,
  height,
  chosen,
  render,
  onMove,
  onEnd,
  onScroll,
  topAt,
  isMeasured = false,
  role = "grid",
  children,
}: RowsProps): ReactNode {
  const viewport = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => viewport.current,
    estimateSize: () => height,
    overscan: OVERSCAN,
  });
  // What is measured once stays so: a row that was high must be able to be low again.
  const [wasMeasured, setWasMeasured] = useState(isMeasured);
  if (isMeasured && !wasMeasured) setWasMeasured(true);
  const measures = isMeasured || wasMeasured;
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  // Rows that leave at one end are those that come at the other: making their nodes anew is most of what a frame costs.
  const places = Math.max(items.length, Math.ceil((virtual.scrollRect?.height ?? 0) / height) + 1 + 2 * OVERSCAN);
  useEffect(() => {
    if (count > 0 && last >= count - NEAR) onEnd?.();
  }, [last, count, onEnd]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the number says when
  useEffect(() => {
    viewport.current?.scrollTo({ top: 0 });
  }, [topAt]);
  const id = useId();
  const isDrawn = items.some((item) => item.index === chosen);
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    const page = Math.max(1, Math.floor((viewport.current?.clientHeight ?? 0) / height) - 1);
    const moves: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -count,
      End: count,
    };
    const by = moves[event.key];
    if (by === undefined || !onMove || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onMove(by);
  };
  const isThere = chosen >= 0 && chosen < count;
  useEffect(() => {
    if (isThere) virtual.scrollToIndex(chosen, { align: "auto" });
  }, [chosen, isThere, virtual]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: its role is a grid, a treegrid or a listbox
    <div
      ref={viewport}
      className={styles.viewport}
      role={role}
      aria-label={label}
      aria-rowcount={count}
      aria-activedescendant={isDrawn ? `${id}${chosen}` : undefined}
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      {children}
      <div className={styles.space} role="presentation" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => (
          <div
            key={measures ? item.key : item.index % places}
            className={styles.row}
            role="presentation"
            {...(measures ? { ref: virtual.measureElement, "data-index": item.index } : {})}
            style={{ ...(measures ? {} : { height }), transform: `translateY(${item.start}px)` }}
          >
            {render(item.index, `${id}${item.index}`)}
          </div>
        ))}
      </div>
    </div>
  );
}
