import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import type { ServiceEdge } from "../../api/schema";
import { usePlace, useRange, useSetPlace } from "../../app/place";
import { Button, ServiceName } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { pageStyles } from "../../parts/Page";
import { serviceColour } from "../../parts/pure/colours";
import { count, counted, duration, percent, plain, rate } from "../../parts/pure/formats";
import { drawnGraph, edgeWidth, failures, NODES_MAX } from "../../parts/pure/serviceGraph";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import table from "../../parts/table.module.css";
import type { Placed } from "./layout";
import { ToService } from "./Relations";
import styles from "./ServiceMap.module.css";
import { MAP_DAYS_MAX, useMap } from "./useMap";

/** Who calls whom: drawn in layers, and the same as a table. */
export function ServiceMap(): ReactNode {
  const map = useMap();
  const { open, view } = usePlace();
  const setPlace = useSetPlace();
  const { startMs, endMs } = useRange();
  const seconds = (endMs - startMs) / 1000;
  const isAlone = view === "near";
  const graph = useMemo(
    () => drawnGraph(map.data?.nodes ?? [], map.data?.edges ?? [], open, isAlone),
    [map.data, open, isAlone],
  );
  const layout = useQuery({
    queryKey: ["layout", graph.nodes, graph.edges.map(({ caller, callee }) => [caller, callee])],
    queryFn: async () => (await import("./layout")).placed(graph.nodes, graph.edges),
    enabled: graph.nodes.length > 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (map.isTooLong) {
    return <Empty title="The range is too long">Calls are found in ranges of up to {MAP_DAYS_MAX} days.</Empty>;
  }
  if (map.error) {
    return (
      <div className={pageStyles.note}>
        <ErrorNote error={map.error} retry={() => void map.refetch()} />
      </div>
    );
  }
  if (map.data === undefined) return <Skeleton />;
  if (map.data.nodes.length === 0) {
    return (
      <Empty title="No calls in this range">
        No span of a service has its parent in another one. Try a longer range.
      </Empty>
    );
  }
  const { nodes, sampled_one_in: oneIn } = map.data;
  const isLarge = nodes.length > NODES_MAX;
  const shown = graph.around ?? open;
  return (
    <div className={pageStyles.scroll}>
      <div className={styles.tools}>
        <label className={styles.choose}>
          <span>Node</span>
          <select
            className={controls.input}
            value={shown ?? ""}
            onChange={({ target }) => setPlace({ open: target.value || undefined }, { replace: true })}
          >
            {isLarge ? null : <option value="">None</option>}
            {nodes.map((node) => (
              <option key={node} value={node}>
                {node === "" ? "(no service.name)" : plain(node)}
              </option>
            ))}
          </select>
        </label>
        {isLarge ? (
          <span>
            {count(nodes.length)} nodes are too many to draw: these are the neighbours of {plain(graph.around ?? "")}.
          </span>
        ) : (
          <Button
            small
            aria-pressed={graph.around !== undefined}
            disabled={open === undefined}
            title={open === undefined ? "Choose a node first" : "Draw only what calls it and what it calls"}
            onClick={() => setPlace({ view: isAlone ? "map" : "near" }, { replace: true })}
          >
            Only its neighbours
          </Button>
        )}
        {shown === undefined ? (
          <span>Lines are as wide as there are calls; lines and rings are as red as calls failed.</span>
        ) : (
          <ToService name={shown} />
        )}
        {oneIn > 1 ? <span>Estimated from one trace in {oneIn}.</span> : null}
        {map.data.truncated ? <span>Only the busiest {count(map.data.edges.length)} calls are shown.</span> : null}
      </div>
      {layout.error ? <ErrorNote error={layout.error} retry={() => void layout.refetch()} /> : null}
      {layout.data && !layout.isPlaceholderData ? (
        <Drawn
          placed={layout.data}
          nodes={graph.nodes}
          edges={graph.edges}
          all={map.data.edges}
          chosen={shown}
          seconds={seconds}
          onChoose={(node) => setPlace({ open: node === open && !isLarge ? undefined : node }, { replace: true })}
        />
      ) : (
        <div className={styles.space}>
          <Skeleton />
        </div>
      )}
      <Calls edges={graph.edges} seconds={seconds} />
    </div>
  );
}

interface DrawnProps {
  placed: Placed;
  nodes: readonly string[];
  edges: readonly ServiceEdge[];
  /** Also those that are not drawn: a node is as red as all calls into it. */
  all: readonly ServiceEdge[];
  chosen: string | undefined;
  seconds: number;
  onChoose: (node: string) => void;
}

const RING = 9;
const AROUND = 2 * Math.PI * RING;
const HALF = 84;
const NAME_CHARS = 20;

function Drawn({ placed, nodes, edges, all, chosen, seconds, onChoose }: DrawnProps): ReactNode {
  const into = useMemo(() => failures(all), [all]);
  const most = Math.max(1, ...edges.map((edge) => edge.call_count));
  const isFar = ({ caller, callee }: ServiceEdge): boolean =>
    chosen !== undefined && caller !== chosen && callee !== chosen;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
    <div className={styles.canvas} tabIndex={0} role="region" aria-label="Map of services">
      <svg width={placed.width} height={placed.height} viewBox={`0 0 ${placed.width} ${placed.height}`}>
        <title>Who calls whom; the table below says the same</title>
        {edges.map((edge, at) => {
          const width = edgeWidth(edge.call_count, most);
          const share = edge.error_count / edge.call_count;
          const line = curve(placed.lines[at] ?? []);
          return (
            <g key={`${edge.caller}\n${edge.callee}`} className={styles.edge} data-far={isFar(edge)}>
              <title>
                {`${plain(edge.caller)} → ${plain(edge.callee)}: ${rate(edge.call_count / seconds)}, ${percent(
                  share,
                )} failed, p95 ${duration(edge.duration_p95_ns)}`}
              </title>
              <path className={styles.line} d={line} strokeWidth={width} />
              {share > 0 ? <path className={styles.broken} d={line} strokeWidth={Math.max(1, share * width)} /> : null}
            </g>
          );
        })}
        {nodes.map((node) => {
          const at = placed.nodes.get(node);
          if (!at) return null;
          const sum = into.get(node);
          const share = sum ? sum.errors / sum.calls : 0;
          const name = node === "" ? "(no service.name)" : plain(node);
          const words = sum ? `${rate(sum.calls / seconds)}, ${percent(share)} failed` : "calls, and is not called";
          return (
            <g
              key={node}
              className={styles.node}
              transform={`translate(${at.x} ${at.y})`}
              role="button"
              tabIndex={0}
              aria-pressed={node === chosen}
              aria-label={`${name}: ${words}`}
              onClick={() => onChoose(node)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" && event.key !== " ") return;
                event.preventDefault();
                onChoose(node);
              }}
            >
              <title>{`${name}: ${words}`}</title>
              <rect x={-HALF} y={-20} width={2 * HALF} height={40} rx={6} />
              <circle className={styles.ground} cx={-HALF + 18} r={RING} />
              {share > 0 ? (
                <circle
                  className={styles.failed}
                  cx={-HALF + 18}
                  r={RING}
                  transform={`rotate(-90 ${-HALF + 18} 0)`}
                  strokeDasharray={`${Math.max(2, share * AROUND)} ${AROUND}`}
                />
              ) : null}
              <circle className={styles.dot} cx={-HALF + 18} r={4} data-colour={serviceColour(node)} />
              <text x={-HALF + 34} y={-3}>
                {name.length > NAME_CHARS ? `${name.slice(0, NAME_CHARS - 1)}…` : name}
              </text>
              <text x={-HALF + 34} y={12} className={styles.figures}>
                {sum ? `${rate(sum.calls / seconds)}${share > 0 ? ` · ${percent(share)} failed` : ""}` : "entrance"}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

/** A line through these points that bends at each of them without a corner. */
function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${first.x.toFixed(1)} ${first.y.toFixed(1)}`;
  let last = first;
  for (const next of rest) {
    const middle = (last.x + next.x) / 2;
    path += `C${middle.toFixed(1)} ${last.y.toFixed(1)} ${middle.toFixed(1)} ${next.y.toFixed(1)} ${next.x.toFixed(1)} ${next.y.toFixed(1)}`;
    last = next;
  }
  return path;
}

function Calls({ edges, seconds }: { edges: readonly ServiceEdge[]; seconds: number }): ReactNode {
  const rows = edges.toSorted(
    (a, b) => b.error_count / b.call_count - a.error_count / a.call_count || b.call_count - a.call_count,
  );
  return (
    <section className={styles.calls} aria-label="Calls">
      <h2>{counted(edges.length, "kind")} of calls, those that fail most first</h2>
      <table className={table.table}>
        <thead>
          <tr>
            <th scope="col">Caller</th>
            <th scope="col">Callee</th>
            {["Calls", "Errors", "p50", "p95", "p99"].map((head) => (
              <th key={head} scope="col" className={table.number}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((edge) => (
            <tr key={`${edge.caller}\n${edge.callee}`}>
              <td>
                <ServiceName name={edge.caller} />
              </td>
              <td>
                <ToService name={edge.callee} />
              </td>
              <td className={table.number} title={count(edge.call_count)}>
                {rate(edge.call_count / seconds)}
              </td>
              <td className={`${table.number} ${edge.error_count > 0 ? table.bad : table.faint}`}>
                {percent(edge.error_count / edge.call_count)}
              </td>
              <td className={table.number}>{duration(edge.duration_p50_ns)}</td>
              <td className={table.number}>{duration(edge.duration_p95_ns)}</td>
              <td className={table.number}>{duration(edge.duration_p99_ns)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
