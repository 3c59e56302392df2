import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState, useSyncExternalStore } from "react";
import { answered, api } from "../../api/client";
import { asApiError, inWords } from "../../api/errors";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button } from "../controls";
import controls from "../controls.module.css";
import { Icon } from "../icons";
import { count, plain, shortCount } from "../pure/formats";
import { isOf, stands, term, without, withTerm, withValue } from "../pure/terms";
import { ErrorNote } from "../states";
import styles from "./Facets.module.css";
import { remember, remembered } from "./memory";
import { countsByName, inPath, type Signal, useFieldNames } from "./useFieldNames";
import { useTermKeys } from "./useTermKeys";

/** What one looks at first, open from the start. */
const FIRST: Record<Signal, readonly string[]> = {
  logs: ["severity", "service"],
  traces: ["status", "service", "name"],
};
const OPEN: Record<Signal, readonly string[]> = { logs: ["severity", "service"], traces: ["status", "service"] };
/** Attributes that a field of the language shows already. */
const SAME = new Set(["service.name"]);
const VALUES_SHOWN = 8;
const NAMES_SHOWN = 60;

interface FacetsProps {
  signal: Signal;
  query: string;
  /** Whether the query can be counted: not while it has a mistake. */
  isAsked: boolean;
}

interface FacetsSwitchProps {
  isOn: boolean;
  onSwitch: (isOn: boolean) => void;
  /** Closes the panel that is open, if there is one. */
  closePanel: (() => void) | undefined;
}

/** Below this width there is room for the fields or for a panel, as the styles say. */
const ROOM = matchMedia("(min-width: 1280px)");

function useRoom(): boolean {
  return useSyncExternalStore(
    (listener) => {
      ROOM.addEventListener("change", listener);
      return () => ROOM.removeEventListener("change", listener);
    },
    () => ROOM.matches,
  );
}

/** Shows and hides the fields. Where they have no room beside a panel, the panel makes room for them. */
export function FacetsSwitch({ isOn, onSwitch, closePanel }: FacetsSwitchProps): ReactNode {
  const isCovered = !useRoom() && closePanel !== undefined;
  return (
    <Button
      className={styles.switch}
      aria-pressed={isOn && !isCovered}
      title="Fields and their values"
      onClick={() => {
        if (isCovered) closePanel();
        onSwitch(isCovered || !isOn);
      }}
    >
      Fields
    </Button>
  );
}

/** The fields of what is searched, with the values that the present query finds. A click on one includes it. */
export function Facets({ signal, query, isAsked }: FacetsProps): ReactNode {
  const tenantId = useTenantId();
  const [wanted, setWanted] = useState("");
  useTermKeys();
  const [pins, setPins] = useState<readonly string[]>(() => remembered("pins", tenantId, signal));
  const names = useFieldNames(signal, "", true);
  const more = useFieldNames(signal, wanted, wanted !== "" && names.data?.next_cursor != null);
  const fields = useMemo(() => {
    const counts = countsByName([names.data, more.data]);
    const first = [...new Set([...pins, ...FIRST[signal]])];
    const others = [...counts]
      .filter(([name]) => !first.includes(name) && !SAME.has(name))
      .sort(([, a], [, b]) => b - a);
    return [...first, ...others.map(([name]) => name)].filter((name) =>
      name.toLowerCase().includes(wanted.toLowerCase()),
    );
  }, [names.data, more.data, pins, signal, wanted]);
  const pin = (name: string): void => {
    const next = pins.includes(name) ? pins.filter((one) => one !== name) : [...pins, name];
    setPins(next);
    remember("pins", tenantId, signal, next);
  };
  return (
    <nav className={styles.facets} aria-label="Fields">
      <input
        className={`${controls.input} ${styles.search}`}
        type="search"
        placeholder="Find a field"
        aria-label="Find a field"
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
      />
      {names.error ? <ErrorNote error={names.error} /> : null}
      {fields.slice(0, NAMES_SHOWN).map((name) => (
        <Facet
          key={name}
          signal={signal}
          name={name}
          query={query}
          isAsked={isAsked}
          startsOpen={OPEN[signal].includes(name) || pins.includes(name)}
          isPinned={pins.includes(name)}
          onPin={() => pin(name)}
        />
      ))}
      {fields.length === 0 ? <p className={styles.note}>No field has such a name.</p> : null}
      {fields.length > NAMES_SHOWN ? (
        <p className={styles.note}>And {count(fields.length - NAMES_SHOWN)} more: find them by name.</p>
      ) : null}
    </nav>
  );
}

interface FacetProps extends FacetsProps {
  name: string;
  startsOpen: boolean;
  isPinned: boolean;
  onPin: () => void;
}

function Facet({ signal, name, query, isAsked, startsOpen, isPinned, onPin }: FacetProps): ReactNode {
  const [isOpen, setOpen] = useState(startsOpen);
  return (
    <section className={styles.facet}>
      <h3 className={styles.head}>
        <button type="button" className={styles.name} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? "down" : "right"} size={12} />
          <span title={plain(name)}>{plain(name)}</span>
        </button>
        <Button
          look="quiet"
          small
          icon
          className={styles.pin ?? ""}
          aria-pressed={isPinned}
          aria-label={`Pin ${plain(name)}`}
          title={isPinned ? "Pinned to the top" : "Pin to the top"}
          onClick={onPin}
        >
          <Icon name="pin" size={14} />
        </Button>
      </h3>
      {isOpen ? <Values signal={signal} name={name} query={query} isAsked={isAsked} /> : null}
    </section>
  );
}

function Values({ signal, name, query, isAsked }: FacetsProps & { name: string }): ReactNode {
  const tenantId = useTenantId();
  const { start, end } = useRange();
  const setPlace = useSetPlace();
  // What the query says of the field itself hides no other value of it.
  const others = without(query, (piece) => isOf(piece, name));
  const values = useQuery({
    queryKey: ["facet", tenantId, signal, start, end, name, others],
    queryFn: ({ signal: abort }) => {
      const asked = { signal, start, end, query: others, limit: VALUES_SHOWN };
      const params = { path: { name: inPath(name) }, query: asked };
      return answered(api.GET("/api/v1/fields/{name}/values", { params, signal: abort }));
    },
    enabled: isAsked,
    retry: false,
  });
  if (values.error && isAsked) return <p className={styles.note}>{inWords(asApiError(values.error))}</p>;
  if (!isAsked && !values.data) return <p className={styles.note}>Counted when the query has no mistake.</p>;
  if (!values.data) return <p className={styles.note}>…</p>;
  const { items, other_count: beyond } = values.data;
  const most = Math.max(1, ...items.map((one) => one.count));
  if (items.length === 0) return <p className={styles.note}>Nothing here has it.</p>;
  return (
    <ul className={styles.values} data-old={values.isPlaceholderData}>
      {items.map(({ value, type, count: number }) => {
        const asked = term(name, value);
        if (asked === undefined) return null;
        const how = stands(query, asked);
        const isExclusion = (piece: string): boolean => piece === `-${asked}` || piece === `NOT ${asked}`;
        const exclude = (): void =>
          setPlace({ q: how === "out" ? without(query, isExclusion) : withTerm(query, `-${asked}`), open: undefined });
        return (
          <li key={`${type} ${value}`} className={styles.value} data-how={how} data-value="">
            <button
              type="button"
              className={styles.include}
              data-term="only"
              aria-pressed={how === "in"}
              title={`${plain(asked)}: ${count(number)}. Click: only these; with Alt: not these.`}
              onClick={(event) => {
                if (event.altKey) exclude();
                else setPlace({ q: withValue(query, name, asked), open: undefined });
              }}
            >
              <span className={styles.text}>{plain(value)}</span>
              <span className={styles.count}>{shortCount(number)}</span>
              <span className={styles.meter} aria-hidden="true">
                <span style={{ width: `${(number / most) * 100}%` }} />
              </span>
            </button>
            <Button
              look="quiet"
              small
              icon
              className={styles.exclude ?? ""}
              data-term="not"
              aria-pressed={how === "out"}
              aria-label={`Not ${plain(asked)}`}
              title={how === "out" ? "No longer without these" : "Not these (or click with Alt)"}
              onClick={exclude}
            >
              −
            </Button>
          </li>
        );
      })}
      {beyond > 0 ? <li className={styles.note}>{shortCount(beyond)} with other values</li> : null}
    </ul>
  );
}
