import { useCallback, useMemo, useState } from "react";
import { deepest, inSightOf, keptBy, likeSiblings, ofLevel, type Siblings } from "../../parts/pure/spanTree";
import type { TraceModel } from "./model";

export interface Folding {
  /** Positions of the tree in sight, one per row. */
  seen: Int32Array;
  collapsed: ReadonlySet<number>;
  /** Alike siblings that are one row, by the first of them. */
  groups: ReadonlyMap<number, Siblings>;
  /** How many levels are shown: at most so many as there are. */
  level: number;
  levels: number;
  isGrouped: boolean;
  /** Whether there are alike siblings at all. */
  hasAlike: boolean;
  toggle: (at: number) => void;
  showLevels: (levels: number) => void;
  group: (on: boolean) => void;
  openGroup: (at: number) => void;
  /** Opens everything that hides a position. */
  reveal: (at: number) => void;
}

const NONE: ReadonlyMap<number, Siblings> = new Map();

/** What of a trace is in sight: what is below collapsed spans is not, alike siblings may be one row, and a search may
 * hide what it did not find. */
export function useFolding(model: TraceModel, matches: ReadonlySet<number> | undefined, hidesOthers: boolean): Folding {
  const { tree, rows, sorts } = model;
  const levels = useMemo(() => deepest(tree) + 1, [tree]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(() => new Set());
  const [level, setLevel] = useState(levels);
  const [isGrouped, setGrouped] = useState(false);
  const [opened, setOpened] = useState<ReadonlySet<number>>(() => new Set());
  const alike = useMemo(() => likeSiblings(tree, sorts, rows), [tree, sorts, rows]);
  const groups = useMemo(
    () => (isGrouped ? new Map([...alike].filter(([first]) => !opened.has(first))) : NONE),
    [alike, isGrouped, opened],
  );
  const kept = useMemo(
    () => (hidesOthers && matches ? keptBy(tree, matches) : undefined),
    [tree, matches, hidesOthers],
  );
  const seen = useMemo(() => inSightOf(tree, collapsed, groups, kept), [tree, collapsed, groups, kept]);
  const toggle = useCallback((at: number) => {
    setCollapsed((now) => {
      const next = new Set(now);
      if (!next.delete(at)) next.add(at);
      return next;
    });
  }, []);
  const showLevels = (wanted: number): void => {
    const next = Math.max(1, Math.min(levels, wanted));
    setLevel(next);
    setCollapsed(next >= levels ? new Set<number>() : ofLevel(tree, next - 1));
  };
  const group = (on: boolean): void => {
    setGrouped(on);
    setOpened(new Set());
  };
  const openGroup = useCallback((at: number) => setOpened((now) => new Set([...now, at])), []);
  const reveal = (wanted: number): void => {
    const way = new Set<number>([wanted]);
    for (let up = tree.parent[wanted] ?? -1; up >= 0; up = tree.parent[up] ?? -1) way.add(up);
    setCollapsed((now) => new Set([...now].filter((one) => one === wanted || !way.has(one))));
    const closed = [...groups].filter(
      ([first, { members }]) => members.some((at) => way.has(at)) && (first !== wanted || members.length === 0),
    );
    if (closed.length > 0) setOpened((now) => new Set([...now, ...closed.map(([first]) => first)]));
  };
  return {
    ...{ seen, collapsed, groups, level, levels, isGrouped, hasAlike: alike.size > 0 },
    ...{ toggle, showLevels, group, openGroup, reveal },
  };
}
