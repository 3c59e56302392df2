import { Popover } from "@base-ui/react/popover";
import { type FormEvent, type ReactNode, useEffect, useId, useMemo, useState } from "react";
import { useKeys } from "../app/keys";
import { usePlace, useRange, useSetPlace } from "../app/place";
import { Button, buttonClass, Field } from "./controls";
import controls from "./controls.module.css";
import popup from "./popup.module.css";
import { clock, DEFAULT_RANGE, iso, isZone, type RangeWords, rangeLabel, typed } from "./pure/times";
import styles from "./TimePicker.module.css";

const PRESETS = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "24h", "2d", "7d"];

/** Which time is shown: the last so long, or from then to then; and in which zone it is written. */
export function TimePicker(): ReactNode {
  const place = usePlace();
  const range = useRange();
  const setPlace = useSetPlace();
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  useKeys([
    { keys: "t", what: "Choose the time range", run: () => setOpen(true) },
    { keys: "r", what: "Refresh", run: range.refresh },
    { keys: "[", what: "The range before this one", run: () => shift(-1) },
    { keys: "]", what: "The range after this one", run: () => shift(1) },
  ]);

  /** Goes back or forward by the length of the range, but not beyond now. */
  function shift(by: -1 | 1): void {
    const length = range.endMs - range.startMs;
    const end = Math.min(range.endMs + by * length, Date.now());
    setPlace({ range: undefined, from: iso(end - length), to: iso(end), open: undefined });
  }

  function choose(words: RangeWords): void {
    setPlace({ range: undefined, from: undefined, to: undefined, ...words });
    range.refresh();
    setOpen(false);
    setText("");
    setWrong(false);
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    const words = typed(text, Date.now(), range.zone);
    if (words) choose(words);
    else setWrong(true);
  }

  const isStale = useIsOlder(range.endMs) && place.to === undefined;
  const zoneName = place.tz ?? "local time";
  return (
    <div className={styles.group}>
      <Button
        icon
        className={styles.step ?? ""}
        title="The range before this one ([)"
        aria-label="The range before this one"
        onClick={() => shift(-1)}
      >
        ‹
      </Button>
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger className={buttonClass()} title={`Time range, in ${zoneName} (t)`}>
          {rangeLabel(place, range.zone)}
          {isStale ? <span className={styles.stale}>until {clock(floored(range.endMs), range.zone, true)}</span> : null}
          {place.tz === undefined ? null : <span>{place.tz}</span>}
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Positioner className={popup.positioner ?? ""} align="end" sideOffset={6}>
            <Popover.Popup className={popup.popup ?? ""} aria-label="Time range">
              <div className={styles.body}>
                <form onSubmit={submit}>
                  <Field
                    label="Time range"
                    hint='Such as "3h", "yesterday 14:00", "9:00 - 10:30" or "2026-11-29 to now"'
                    value={text}
                    autoFocus
                    aria-invalid={wrong}
                    onChange={(event) => {
                      setText(event.target.value);
                      setWrong(false);
                    }}
                  />
                  {wrong ? (
                    <p className={styles.wrong} role="alert">
                      That is no range of time.
                    </p>
                  ) : null}
                </form>
                <div className={styles.grid}>
                  {PRESETS.map((preset) => (
                    <button
                      key={preset}
                      type="button"
                      className={`${popup.item} ${styles.preset}`}
                      aria-current={place.from === undefined && (place.range ?? DEFAULT_RANGE) === preset}
                      onClick={() => choose({ range: preset })}
                    >
                      {rangeLabel({ range: preset }, undefined)}
                    </button>
                  ))}
                </div>
                <div className={styles.zones}>
                  <span className={popup.heading}>Times in</span>
                  {[undefined, "UTC"].map((zone) => (
                    <Button
                      key={zone ?? "local"}
                      small
                      className={styles.zone ?? ""}
                      aria-pressed={place.tz === zone}
                      onClick={() => setPlace({ tz: zone })}
                    >
                      {zone ?? "Local time"}
                    </Button>
                  ))}
                  <ZoneField zone={place.tz} onZone={(zone) => setPlace({ tz: zone })} />
                </div>
              </div>
            </Popover.Popup>
          </Popover.Positioner>
        </Popover.Portal>
      </Popover.Root>
      <Button
        icon
        className={styles.step ?? ""}
        title="The range after this one (])"
        aria-label="The range after this one"
        onClick={() => shift(1)}
      >
        ›
      </Button>
      <Button icon title="Refresh (r)" aria-label="Refresh" onClick={range.refresh}>
        ↻
      </Button>
    </div>
  );
}

/** Any other zone, by its name: written here, and taken as soon as it is one. */
function ZoneField({ zone, onZone }: { zone: string | undefined; onZone: (zone: string) => void }): ReactNode {
  const id = useId();
  const [text, setText] = useState(zone === "UTC" ? "" : (zone ?? ""));
  const names = useMemo(() => Intl.supportedValuesOf("timeZone"), []);
  return (
    <>
      <input
        className={`${controls.input} ${styles.other}`}
        list={id}
        placeholder="Europe/London"
        aria-label="Another time zone"
        spellCheck={false}
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          const wanted = target.value.trim();
          // A zone of one word, such as "EST", may be the beginning of another name.
          if (names.includes(wanted) || (wanted.includes("/") && isZone(wanted))) onZone(wanted);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && isZone(text.trim())) onZone(text.trim());
        }}
      />
      <datalist id={id}>
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

const MINUTE_MS = 60_000;
const STALE_MS = 2 * MINUTE_MS;
const floored = (ms: number): number => Math.floor(ms / MINUTE_MS) * MINUTE_MS;

/** Whether a moment has been over for a while: what is shown is not of now. */
function useIsOlder(ms: number): boolean {
  const [isOlder, setOlder] = useState(false);
  useEffect(() => {
    const look = (): void => setOlder(Date.now() - ms > STALE_MS);
    look();
    const timer = setInterval(look, MINUTE_MS / 2);
    return () => clearInterval(timer);
  }, [ms]);
  return isOlder;
}
