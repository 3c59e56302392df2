import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type UIEvent, useEffect, useRef } from "react";
import styles from "./Rows.module.css";

interface RowsProps {
  label: string;
  count: number;
  height: number;
  /** The row that keys act on; -1 for none. */
  chosen: number;
  render: (index: number) => ReactNode;
  /** Called when the end of the list comes near. */
  onEnd?: () => void;
  onScroll?: (event: UIEvent<HTMLDivElement>) => void;
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
  onEnd,
  onScroll,
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
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (count > 0 && last >= count - NEAR) onEnd?.();
  }, [last, count, onEnd]);
  const isThere = chosen >= 0 && chosen < count;
  useEffect(() => {
    if (isThere) virtual.scrollToIndex(chosen, { align: "auto" });
  }, [chosen, isThere, virtual]);
  return (
    <div
      ref={viewport}
      className={styles.viewport}
      role={role}
      aria-label={label}
      aria-rowcount={count}
      tabIndex={0}
      onScroll={onScroll}
    >
      {children}
      <div className={styles.space} role="presentation" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => (
          <div
            key={item.key}
            className={styles.row}
            role="presentation"
            style={{ height, transform: `translateY(${item.start}px)` }}
          >
            {render(item.index)}
          </div>
        ))}
      </div>
    </div>
  );
}
