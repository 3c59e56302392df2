import type { ReactNode } from "react";
import { counted } from "../pure/formats";
import { NoMatches } from "../query/NoMatches";
import { Empty, ErrorNote, Skeleton } from "../states";
import styles from "./Results.module.css";
import { Rows } from "./Rows";
import type { Found } from "./useResults";

/** A list with what stands on both sides of it. */
export const Split = ({ children }: { children: ReactNode }): ReactNode => (
  <div className={styles.split}>{children}</div>
);

interface ResultsProps<T> {
  found: Found<T>;
  /** What the rows are: "trace". */
  what: string;
  label: string;
  query: string;
  /** The heads of the columns. */
  head: ReactNode;
  height: number;
  isMeasured?: boolean;
  /** How rows look: what was measured counts no longer when that changes. */
  form?: string;
  chosen: number;
  onMove: (by: number) => void;
  render: (item: T, index: number, id: string) => ReactNode;
}

/** The list of what a search has found, or why there is none. */
export function Results<T>({
  found,
  what,
  label,
  query,
  head,
  height,
  isMeasured = false,
  form = "",
  chosen,
  onMove,
  render,
}: ResultsProps<T>): ReactNode {
  const { items, error, isMistake } = found;
  return (
    <div className={`${styles.list} ${found.isOld ? styles.dim : ""}`}>
      {error && !isMistake ? (
        <div className={styles.note}>
          <ErrorNote error={error} retry={found.retry} />
        </div>
      ) : null}
      {found.isPending ? (
        <Skeleton />
      ) : isMistake ? (
        <Empty title="The query has a mistake">It is underlined above.</Empty>
      ) : items.length === 0 ? (
        error ? null : (
          <NoMatches signal={what === "trace" ? "traces" : "logs"} what={`${what}s`} query={query} hint={found.hint} />
        )
      ) : (
        <>
          <div className={styles.head} aria-hidden="true">
            {head}
          </div>
          <Rows
            key={`${form} ${height}`}
            isMeasured={isMeasured}
            label={label}
            count={items.length}
            height={height}
            chosen={chosen}
            onEnd={found.more}
            onMove={onMove}
            render={(index, id) => {
              const item = items[index];
              return item === undefined ? null : render(item, index, id);
            }}
          />
          <div className={styles.foot}>
            {counted(items.length, what)}
            {found.hasMore ? ", and more below" : items.length === 1 ? "" : ", all of them"}
            {found.isMoreComing ? <span>Loading…</span> : null}
          </div>
        </>
      )}
    </div>
  );
}
