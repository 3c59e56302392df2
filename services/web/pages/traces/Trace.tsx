import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type ReactNode, useCallback, useDeferredValue, useMemo, useRef, useState } from "react";
import { answered, api } from "../../api/client";
import { asApiError } from "../../api/errors";
import { useKeys } from "../../app/keys";
import { type Place, sameTime, usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button, CopyButton, ServiceName } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { Page } from "../../parts/Page";
import { count, duration, plain } from "../../parts/pure/formats";
import { moment } from "../../parts/pure/times";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import { Flame } from "./Flame";
import { Minimap, type View } from "./Minimap";
import { placesOf, type TraceModel, traceModel } from "./model";
import { SpanDetails } from "./SpanDetails";
import styles from "./Trace.module.css";
import { useFolding } from "./useFolding";
import { useTraceLogs } from "./useTraceLogs";
import { Waterfall } from "./Waterfall";

const NOT_FOUND = 404;

/** One trace, from its start to its end. */
export function Trace(): ReactNode {
  const { traceId = "" } = useParams({ strict: false });
  const tenantId = useTenantId();
  const trace = useQuery({
    queryKey: ["trace", tenantId, traceId],
    queryFn: async ({ signal }) => {
      const params = { path: { trace_id: traceId } };
      return traceModel(await answered(api.GET("/api/v1/traces/{trace_id}/summary", { params, signal })));
    },
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  });
  if (trace.data && trace.data.id === traceId.toLowerCase()) return <Shown key={traceId} model={trace.data} />;
  return (
    <Page title="Trace" back={<Back />} timed={false} busy={trace.isFetching}>
      {trace.error === null ? (
        <Skeleton />
      ) : asApiError(trace.error).status === NOT_FOUND ? (
        <Empty title="There is no such trace" actions={<Button onClick={() => void trace.refetch()}>Try again</Button>}>
          Its spans may not have arrived yet, or this tenant no longer keeps them.
        </Empty>
      ) : (
        <div className={styles.note}>
          <ErrorNote error={trace.error} retry={() => void trace.refetch()} />
        </div>
      )}
    </Page>
  );
}

/** To the list with the query and the box that one came from, if one did. */
function Back(): ReactNode {
  const tenantId = useTenantId();
  return (
    <Link
      to="/t/$tenantId/traces"
      params={{ tenantId }}
      search={({ open, view, ...was }: Place) => (view === "compare" ? { ...was, view } : was)}
      title="Back to the list"
    >
      ← Traces
    </Link>
  );
}

const ZOOM = 1.5;
const LEAST_NS = 1_000;

function Shown({ model }: { model: TraceModel }): ReactNode {
  const tenantId = useTenantId();
  const navigate = useNavigate();
  const setPlace = useSetPlace();
  const { open, view: form } = usePlace();
  const isFlame = form === "flame";
  const { zone } = useRange();
  const hasGaps = model.gaps.length > 0;
  const [isFolded, setFolded] = useState(true);
  const places = useMemo(() => placesOf(model, isFolded), [model, isFolded]);
  const whole: View = { from: 0, to: places.scale.length };
  const [view, setView] = useState<View>(whole);
  const [isCriticalOnly, setCriticalOnly] = useState(false);
  const [wanted, setWanted] = useState("");
  const [hidesOthers, setHides] = useState(false);
  const find = useRef<HTMLInputElement>(null);
  const { tree, rows } = model;
  const chosen = open === undefined ? -1 : (model.byId.get(open) ?? -1);
  // The line is written in at once, whatever a hundred thousand spans take.
  const sought = useDeferredValue(wanted);
  const matches = useMemo(() => found(model, sought), [model, sought]);
  const folding = useFolding(model, matches, hidesOthers);
  const { seen, collapsed, toggle } = folding;
  const marks = useTraceLogs(model);

  const choose = useCallback(
    (at: number) => {
      const id = rows[at]?.id;
      setPlace({ open: id }, { replace: true });
    },
    [rows, setPlace],
  );
  /** Goes to the next position after the chosen one for which `is` holds, round the end, and opens what hides it. */
  const jump = (is: (at: number) => boolean, by: 1 | -1 = 1): void => {
    const total = rows.length;
    for (let step = 1; step <= total; step += 1) {
      const at = (Math.max(chosen, by > 0 ? -1 : 0) + by * step + total * 2) % total;
      if (!is(at)) continue;
      folding.reveal(at);
      choose(at);
      return;
    }
  };
  const move = (by: number): void => {
    const at = seen.indexOf(chosen);
    choose(seen[Math.max(0, Math.min(seen.length - 1, at + by))] ?? 0);
  };
  /** Zooms so that this place stays where it is on the screen. */
  const zoomAbout = (factor: number, around: number): void => {
    setView((now) => {
      const length = Math.min(whole.to, Math.max(LEAST_NS, (now.to - now.from) / factor));
      const share = (around - now.from) / (now.to - now.from);
      const from = Math.max(0, Math.min(whole.to - length, around - share * length));
      return { from, to: from + length };
    });
  };
  const zoom = (factor: number): void => zoomAbout(factor, (view.from + view.to) / 2);
  /** Goes on by a quarter of what is in view. */
  const pan = (by: -1 | 1): void => {
    setView((now) => {
      const length = now.to - now.from;
      const from = Math.max(0, Math.min(whole.to - length, now.from + (by * length) / 4));
      return { from, to: from + length };
    });
  };
  const hasBelow = (tree.size[chosen] ?? 1) > 1;
  useKeys([
    { keys: "j", what: "Next span", run: () => move(1) },
    { keys: "k", what: "Previous span", run: () => move(-1) },
    { keys: "ArrowDown", what: "Next span", run: () => move(1) },
    { keys: "ArrowUp", what: "Previous span", run: () => move(-1) },
    {
      keys: "ArrowRight",
      what: "Show the spans below",
      run: () => hasBelow && collapsed.has(chosen) && toggle(chosen),
    },
    {
      keys: "ArrowLeft",
      what: "Hide the spans below, or go to the parent",
      run: () => {
        if (hasBelow && !collapsed.has(chosen)) toggle(chosen);
        else if ((tree.parent[chosen] ?? -1) >= 0) choose(tree.parent[chosen] ?? 0);
      },
    },
    { keys: "e", what: "Next error", run: () => jump((at) => rows[at]?.failed ?? false) },
    { keys: "/", what: "Find in the trace", run: () => find.current?.focus() },
    { keys: "n", what: "Next span found", run: () => matches && jump((at) => matches.has(at)) },
    { keys: "N", what: "Previous span found", run: () => matches && jump((at) => matches.has(at), -1) },
    { keys: "p", what: "Critical path alone, or all", run: () => setCriticalOnly((now) => !now) },
    {
      keys: "g f",
      what: "Flame graph, or waterfall",
      run: () => setPlace({ view: isFlame ? undefined : "flame" }, { replace: true }),
    },
    { keys: "+", what: "Zoom in", run: () => zoom(ZOOM) },
    { keys: "-", what: "Zoom out", run: () => zoom(1 / ZOOM) },
    { keys: "0", what: "See the whole trace", run: () => setView(whole) },
    { keys: "<", what: "One level of spans less", run: () => folding.showLevels(folding.level - 1) },
    { keys: ">", what: "One level of spans more", run: () => folding.showLevels(folding.level + 1) },
    { keys: "a", what: "The time before", run: () => pan(-1) },
    { keys: "d", what: "The time after", run: () => pan(1) },
    { keys: "s", what: "Alike siblings as one, or each", run: () => folding.group(!folding.isGrouped) },
    { keys: "Escape", what: "Close the panel", run: () => setPlace({ open: undefined }, { replace: true }) },
  ]);
  const root = rows[0];
  const row = rows[chosen];
  const startMs = Date.parse(model.start);
  const { day, time } = moment(model.start, zone);
  const isZoomed = view.from > 0 || view.to < whole.to;
  return (
    <Page
      title={root ? plain(root.name) : "Trace"}
      back={<Back />}
      timed={false}
      tools={
        <>
          <input
            ref={find}
            className={`${controls.input} ${styles.find}`}
            type="search"
            placeholder="Find in the trace (/)"
            aria-label="Find spans by name, service or id"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && matches) jump((at) => matches.has(at), event.shiftKey ? -1 : 1);
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
          {matches ? (
            <>
              <span aria-live="polite">{count(matches.size)} found</span>
              <Button
                aria-pressed={hidesOthers}
                title="Show only what was found, with what is above it"
                onClick={() => setHides(!hidesOthers)}
              >
                Hide others
              </Button>
            </>
          ) : null}
          <Button
            aria-pressed={isFlame}
            title="What ran when, callees below their callers (g f)"
            onClick={() => setPlace({ view: isFlame ? undefined : "flame" }, { replace: true })}
          >
            Flame graph
          </Button>
          <Button
            aria-pressed={isCriticalOnly}
            title="What the trace as a whole waited for (p)"
            onClick={() => setCriticalOnly((now) => !now)}
          >
            Critical path
          </Button>
          <CopyButton text={model.id} label="Copy id" small={false} />
          {isZoomed ? (
            <Button onClick={() => setView(whole)} title="See the whole trace (0)">
              Whole trace
            </Button>
          ) : null}
        </>
      }
    >
      <div className={styles.split}>
        <div className={styles.fall}>
          <div className={styles.summary}>
            <span>
              {day} {time}
            </span>
            <span>
              <b>{duration(model.durationNs)}</b>
            </span>
            <span>
              <b>{count(rows.length)}</b>{" "}
              {rows.length < model.spanCount
                ? `of ${count(model.spanCount)} spans`
                : rows.length === 1
                  ? "span"
                  : "spans"}
            </span>
            <span className={model.errorCount > 0 ? styles.bad : ""}>
              <b>{count(model.errorCount)}</b> {model.errorCount === 1 ? "error" : "errors"}
            </span>
            <span className={styles.services}>
              {model.services.slice(0, 12).map((name) => (
                <ServiceName key={name} name={name} />
              ))}
              {model.services.length > 12 ? <span>and {count(model.services.length - 12)} more</span> : null}
            </span>
            <span className={styles.ways}>
              {folding.hasAlike ? (
                <Button
                  small
                  aria-pressed={folding.isGrouped}
                  title="Many siblings of one name as one row (s)"
                  onClick={() => folding.group(!folding.isGrouped)}
                >
                  Group alike
                </Button>
              ) : null}
              {hasGaps ? (
                <Button
                  small
                  aria-pressed={isFolded}
                  title="Shorten what takes long and in which nothing begins or ends"
                  onClick={() => {
                    setFolded(!isFolded);
                    setView({ from: 0, to: placesOf(model, !isFolded).scale.length });
                  }}
                >
                  Fold gaps
                </Button>
              ) : null}
            </span>
          </div>
          {open !== undefined && chosen < 0 ? (
            <p className={styles.missing} role="status">
              The span {plain(open)} is not among those shown.
            </p>
          ) : null}
          <Minimap model={model} places={places} view={view} onView={setView} onZoom={zoomAbout} />
          {isFlame ? (
            <Flame
              model={model}
              places={places}
              chosen={chosen}
              view={view}
              matches={matches}
              isCriticalOnly={isCriticalOnly}
              onChoose={choose}
            />
          ) : (
            <Waterfall
              model={model}
              places={places}
              folding={folding}
              marks={marks}
              chosen={chosen}
              view={view}
              matches={matches}
              isCriticalOnly={isCriticalOnly}
              onChoose={choose}
              onZoom={zoomAbout}
            />
          )}
        </div>
        {row ? (
          <SpanDetails
            traceId={model.id}
            row={row}
            startMs={startMs}
            endMs={startMs + model.durationNs / 1_000_000}
            zone={zone}
            onClose={() => setPlace({ open: undefined }, { replace: true })}
            onTerm={(added) =>
              void navigate({
                to: "/t/$tenantId/traces",
                params: { tenantId },
                search: (was: Place) => ({ ...sameTime(was), q: added }),
              })
            }
          />
        ) : null}
      </div>
    </Page>
  );
}

const ID = /^[0-9a-f]{4,16}$/;

/** The positions of spans whose name, service or id contains the text; undefined for no text. */
function found(model: TraceModel, wanted: string): ReadonlySet<number> | undefined {
  const text = wanted.trim().toLowerCase();
  if (text === "") return undefined;
  const matches = new Set<number>();
  // A trace has few names beside its spans.
  const known = new Map<string, boolean>();
  const has = (name: string): boolean => {
    const said = known.get(name) ?? name.toLowerCase().includes(text);
    known.set(name, said);
    return said;
  };
  const isId = ID.test(text);
  for (const [at, row] of model.rows.entries()) {
    if (has(row.name) || has(row.service) || (isId && row.id.includes(text))) matches.add(at);
  }
  return matches;
}
