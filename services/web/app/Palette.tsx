import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { answered, api } from "../api/client";
import auth from "../parts/auth.module.css";
import controls from "../parts/controls.module.css";
import { plain } from "../parts/pure/formats";
import { type Choice, chosenBy, traceIdIn } from "../parts/pure/palette";
import { quoted } from "../parts/pure/terms";
import { useAllKeys, useKeys } from "./keys";
import styles from "./Palette.module.css";
import { type Place, parsePlace, sameTime, useRange, useTenantId } from "./place";
import { logOut, mayI, useSession } from "./session";
import { chooseMyTheme, forgetView, keepView, useViews } from "./settings";

interface PaletteProps {
  open: boolean;
  onOpen: (open: boolean) => void;
}

/** Everything that one may go to or do here, found by name: Ctrl-K. */
export function Palette({ open, onOpen }: PaletteProps): ReactNode {
  useKeys([{ keys: "Ctrl-K", what: "Find a page, service, trace or action", run: () => onOpen(true) }]);
  return open ? <Opened onClose={() => onOpen(false)} /> : null;
}

const SHOWN_MAX = 40;
const NAME_CHARS_MAX = 80;

function Opened({ onClose }: { onClose: () => void }): ReactNode {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const [isNaming, setNaming] = useState(false);
  const keep = useKeepView();
  const choices = useChoices(() => {
    setNaming(true);
    setWanted("");
  });
  const found = useMemo(
    () => (isNaming ? [] : chosenBy(choices, wanted).slice(0, SHOWN_MAX)),
    [choices, wanted, isNaming],
  );
  const traceId = mayI("trace:read") && !isNaming ? traceIdIn(wanted) : undefined;
  const toTrace = useToTrace();
  const shown: readonly Choice[] =
    traceId === undefined
      ? found
      : [{ key: "trace", group: "Trace", name: `Open trace ${traceId}`, run: () => toTrace(traceId) }, ...found];
  const last = Math.max(0, shown.length - 1);
  const here = Math.min(at, last);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    list.current?.querySelector(`[data-at="${here}"]`)?.scrollIntoView({ block: "nearest" });
  }, [here]);
  const run = (choice: Choice | undefined): void => {
    if (choice === undefined) return;
    if (!choice.stays) dialog.current?.close();
    // After the focus is back where it was: what runs may put it elsewhere.
    queueMicrotask(choice.run);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (event.nativeEvent.isComposing) return;
    const moves: Record<string, number> = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      PageDown: here + 8,
      PageUp: here - 8,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      // Arrows go round the ends.
      setAt(event.key.startsWith("Arrow") ? (to + last + 1) % (last + 1) : Math.max(0, Math.min(last, to)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!isNaming) run(shown[here]);
      else if (wanted.trim() !== "") {
        keep(wanted.trim());
        dialog.current?.close();
      }
    }
  };
  return (
    <dialog
      ref={dialog}
      className={`${auth.dialog} ${styles.palette}`}
      aria-label="Palette"
      onClose={onClose}
      // A click beside it is one on the dialog itself.
      onClick={(event) => event.target === event.currentTarget && dialog.current?.close()}
      onKeyDown={(event) => event.key === "Tab" && event.preventDefault()}
    >
      <div className={styles.body}>
        <input
          className={`${controls.input} ${styles.input}`}
          role="combobox"
          aria-label={isNaming ? "Name of the view" : "Find a page, service, trace or action"}
          aria-expanded="true"
          aria-controls={id}
          aria-autocomplete="list"
          aria-activedescendant={shown.length > 0 ? `${id}${here}` : undefined}
          placeholder={isNaming ? "Name of the view" : "A page, view, tenant, service, trace id or action"}
          maxLength={isNaming ? NAME_CHARS_MAX : undefined}
          spellCheck={false}
          autoComplete="off"
          autoFocus
          value={wanted}
          onChange={(event) => {
            setWanted(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
        <div ref={list} id={id} className={styles.list} role="listbox" aria-label="Found" tabIndex={-1}>
          {shown.map((choice, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the line that has the focus takes the keys
            <div
              key={choice.key}
              id={`${id}${index}`}
              className={styles.choice}
              role="option"
              data-at={index}
              aria-selected={index === here}
              onPointerMove={() => setAt(index)}
              onClick={() => run(choice)}
            >
              <span className={styles.group}>{choice.group}</span>
              <span className={styles.name}>{plain(choice.name)}</span>
              {choice.keys ? <kbd>{choice.keys}</kbd> : null}
            </div>
          ))}
        </div>
        {shown.length > 0 ? null : (
          <p className={styles.none}>
            {isNaming
              ? "Enter keeps this page with its query and range, for you and in this tenant."
              : "Nothing is called like that."}
          </p>
        )}
      </div>
    </dialog>
  );
}

/** Keeps the present page under a name. */
function useKeepView(): (name: string) => void {
  const tenantId = useTenantId();
  const { pathname, searchStr } = useRouterState({ select: ({ location }) => location });
  return (name) => {
    const path = `${pathname.replace(`/t/${tenantId}/`, "")}${searchStr}`;
    keepView({ tenant_id: tenantId, name, path });
  };
}

function useToTrace(): (traceId: string) => void {
  const navigate = useNavigate();
  const tenantId = useTenantId();
  return (traceId) =>
    void navigate({
      to: "/t/$tenantId/traces/$traceId",
      params: { tenantId, traceId },
      search: (was: Place) => sameTime(was),
    });
}

/** All that may be chosen: pages and what the present one has keys for, services, tenants, and what is everywhere. */
function useChoices(onKeep: () => void): readonly Choice[] {
  const navigate = useNavigate();
  const views = useViews();
  const page = useRouterState({ select: ({ location }) => location.pathname });
  const isTrace = /\/traces\/./.test(page);
  const keepIt = useRef(onKeep);
  const tenantId = useTenantId();
  const { places } = useSession();
  const { start, end } = useRange();
  const keys = useAllKeys();
  const services = useQuery({
    queryKey: ["services", tenantId, start, end],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/services", { params: { query: { start, end } }, signal })),
    enabled: mayI("trace:read"),
  });
  return useMemo(() => {
    const to = (page: "logs" | "traces", q: string): void =>
      void navigate({
        to: `/t/$tenantId/${page}`,
        params: { tenantId },
        search: (was: Place) => ({ ...sameTime(was), q }),
      });
    const pages: Choice[] = [];
    const actions: Choice[] = [];
    for (const { keys: pressed, what, run } of new Map(keys.map((one) => [one.keys, one])).values()) {
      if (pressed === "Ctrl-K") continue;
      const page = /^Go to (.+)$/.exec(what)?.[1];
      if (page) pages.push({ key: pressed, group: "Page", name: page, keys: pressed, run });
      else if (!/^(Next|Previous) row$/.test(what))
        actions.push({ key: pressed, group: "Action", name: what, keys: pressed, run });
    }
    const themes = (["system", "light", "dark"] as const).map((theme) => ({
      key: `theme ${theme}`,
      group: "Action",
      name: theme === "system" ? "Theme like the system" : `${theme === "light" ? "Light" : "Dark"} theme`,
      run: () => chooseMyTheme(theme),
    }));
    const mine = views.filter((one) => one.tenant_id === tenantId);
    const names = (services.data?.items ?? []).map((one) => one.name).filter((name) => name !== "");
    return [
      ...pages,
      ...mine.map((view) => ({
        key: `view ${view.name}`,
        group: "View",
        name: view.name,
        run: () => {
          const [path = "", search = ""] = view.path.split("?", 2);
          void navigate({
            to: `/t/$tenantId/${path}` as "/t/$tenantId/logs",
            params: { tenantId },
            search: parsePlace(Object.fromEntries(new URLSearchParams(search))),
          });
        },
      })),
      ...names.flatMap((name) => [
        {
          key: `service ${name}`,
          group: "Service",
          name,
          run: () =>
            void navigate({
              to: "/t/$tenantId/services/one",
              params: { tenantId },
              search: (was: Place) => ({ ...sameTime(was), service: name }),
            }),
        },
        {
          key: `traces ${name}`,
          group: "Service",
          name: `${name}: traces`,
          run: () => to("traces", `service:${quoted(name)}`),
        },
        ...(mayI("log:read")
          ? [
              {
                key: `logs ${name}`,
                group: "Service",
                name: `${name}: logs`,
                run: () => to("logs", `service:${quoted(name)}`),
              },
            ]
          : []),
      ]),
      ...places
        .filter((place) => place.tenant_id !== tenantId)
        .map((place) => ({
          key: `tenant ${place.tenant_id}`,
          group: "Tenant",
          name: `${place.tenant_name} (${place.workspace_name})`,
          run: () => void navigate({ to: "/t/$tenantId", params: { tenantId: place.tenant_id }, search: {} }),
        })),
      ...actions,
      // A trace is of one moment: it has an id and needs no name.
      ...(isTrace
        ? []
        : [{ key: "keep view", group: "Action", name: "Save this view…", stays: true, run: () => keepIt.current() }]),
      ...mine.map((view) => ({
        key: `forget ${view.name}`,
        group: "Action",
        name: `Forget the view ${view.name}`,
        run: () => forgetView(view),
      })),
      ...themes,
      { key: "log out", group: "Action", name: "Log out", run: () => void logOut() },
    ];
  }, [keys, services.data, places, views, isTrace, tenantId, navigate]);
}
