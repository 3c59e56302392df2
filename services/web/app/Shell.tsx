import { Menu } from "@base-ui/react/menu";
import { Link, Navigate, Outlet, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";
import { asApiError } from "../api/errors";
import { Mark } from "../parts/Brand";
import { Icon } from "../parts/icons";
import popup from "../parts/popup.module.css";
import { Empty, ErrorNote, Skeleton } from "../parts/states";
import { Help } from "./Help";
import { useKeys } from "./keys";
import { Palette } from "./Palette";
import { type Now, NowContext, type Place, parsePlace, sameTime, usePath, usePlace, useTenantId } from "./place";
import styles from "./Shell.module.css";
import { isIn, logOut, logOutEverywhere, switchTenant, useSession } from "./session";
import { chooseMyTheme } from "./settings";
import { type Theme, useTheme } from "./theme";

const PAGES = [
  { name: "Services", path: "services", icon: "services", permission: "trace:read", keys: "g s" },
  { name: "Logs", path: "logs", icon: "logs", permission: "log:read", keys: "g l" },
  { name: "Traces", path: "traces", icon: "traces", permission: "trace:read", keys: "g t" },
  { name: "Metrics", path: "metrics", icon: "metrics", permission: "metric:read", keys: "g m" },
  { name: "Ingest", path: "ingest", icon: "ingest", permission: "tenant:read", keys: "g i" },
  { name: "Send data", path: "start", icon: "send", permission: undefined, keys: "g d" },
] as const;

/** The frame of every page of a tenant: where one is, where one may go, and who one is. */
export function Shell(): ReactNode {
  const tenantId = useTenantId();
  useSession(); // draws again with the session, which `isIn` reads
  const [refused, setRefused] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const now = useNow();

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks the same again
  useEffect(() => {
    let current = true;
    setRefused(undefined);
    switchTenant(tenantId).catch((error: unknown) => {
      if (current) setRefused(error);
    });
    return () => {
      current = false;
    };
  }, [tenantId, attempt]);

  const isHere = isIn(tenantId);
  return (
    <NowContext value={now}>
      <a className={styles.skip} href="#content">
        Skip to the content
      </a>
      <div className={styles.shell}>
        <Side onHelp={() => setHelpOpen(true)} onFind={() => setPaletteOpen(true)} />
        <div className={styles.main}>
          {isHere ? (
            <Outlet />
          ) : refused ? (
            <NoRole error={refused} retry={() => setAttempt(attempt + 1)} />
          ) : (
            <Skeleton />
          )}
        </div>
      </div>
      {isHere ? <Palette open={isPaletteOpen} onOpen={setPaletteOpen} /> : null}
      <Help open={isHelpOpen} onOpen={setHelpOpen} />
    </NowContext>
  );
}

const FRESH_MS = 10_000;

/** What "now" is for ranges such as the last hour: when one asked for the range, another page or another query. */
function useNow(): Now {
  const { range, from, to, q } = usePlace();
  const path = usePath();
  const asked = `${range} ${from} ${to}`;
  const shown = `${path} ${q}`;
  const [now, setNow] = useState(() => ({ ms: Date.now(), asked, shown }));
  const isOther = now.asked !== asked;
  if (isOther || now.shown !== shown) {
    const at = Date.now();
    setNow({ ms: isOther || at - now.ms > FRESH_MS ? at : now.ms, asked, shown });
  }
  const refresh = useCallback(() => setNow((was) => ({ ...was, ms: Date.now() })), []);
  return useMemo(() => ({ ms: now.ms, refresh }), [now.ms, refresh]);
}

function NoRole({ error, retry }: { error: unknown; retry: () => void }): ReactNode {
  const { me } = useSession();
  const problem = asApiError(error);
  if (problem.status !== 404 && problem.status !== 400) return <ErrorNote error={error} retry={retry} />;
  return (
    <Empty
      title="You have no role in this tenant"
      actions={
        me ? (
          <Link to="/t/$tenantId" params={{ tenantId: me.tenant_id }} search={{}}>
            Go to your own
          </Link>
        ) : null
      }
    >
      The link leads to a tenant that does not exist, or in which nobody has given you a role. Whoever sent it can tell
      you its name; an administrator of your organization can give you the role.
    </Empty>
  );
}

/** The first page of a tenant that one may read. */
export function Landing(): ReactNode {
  const { me } = useSession();
  const page = PAGES.find(({ permission }) => permission === undefined || me?.permissions.includes(permission));
  const tenantId = useTenantId();
  return <Navigate to={`/t/$tenantId/${page?.path ?? "start"}`} params={{ tenantId }} search={{}} replace />;
}

function Side({ onHelp, onFind }: { onHelp: () => void; onFind: () => void }): ReactNode {
  const { me } = useSession();
  const tenantId = useTenantId();
  const path = usePath();
  const navigate = useNavigate();
  const pages = PAGES.filter(({ permission }) => permission === undefined || me?.permissions.includes(permission));
  useKeys(
    pages.map(({ name, path: to, keys }) => ({
      keys,
      what: `Go to ${name}`,
      run: () =>
        void navigate({
          to: `/t/$tenantId/${to}`,
          params: { tenantId },
          search: (was: Place) => sameTime(parsePlace({ ...was })),
        }),
    })),
  );
  return (
    <nav className={styles.side} aria-label="Pages">
      <div className={styles.brand}>
        <Mark /> duoscope
      </div>
      <Tenant />
      <button
        type="button"
        className={styles.find}
        title="Find a page, service, trace or action (Ctrl-K)"
        onClick={onFind}
      >
        <Icon name="find" />
        <span>Find</span>
        <kbd>Ctrl-K</kbd>
      </button>
      {pages.map((page) => (
        <Link
          key={page.path}
          to={`/t/$tenantId/${page.path}`}
          params={{ tenantId }}
          search={(was: Place) => sameTime(was)}
          className={styles.link ?? ""}
          title={`${page.name} (${page.keys})`}
          data-here={path.startsWith(`/t/${tenantId}/${page.path}`) ? "" : undefined}
        >
          <Icon name={page.icon} />
          <span>{page.name}</span>
        </Link>
      ))}
      <span className={styles.spacer} />
      <Account onHelp={onHelp} />
    </nav>
  );
}

function Tenant(): ReactNode {
  const { places } = useSession();
  const tenantId = useTenantId();
  const navigate = useNavigate();
  const here = places.find((place) => place.tenant_id === tenantId);
  const name = (
    <>
      <span className={styles.tenant} title={here?.tenant_name}>
        {here?.tenant_name ?? "…"}
      </span>
      <span className={styles.workspace}>{here?.workspace_name ?? " "}</span>
    </>
  );
  if (places.length < 2) return <div className={styles.place}>{name}</div>;
  return (
    <Menu.Root>
      <Menu.Trigger className={styles.place ?? ""} title="Switch tenant">
        {name}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className={popup.positioner ?? ""} align="start" sideOffset={4}>
          <Menu.Popup className={popup.popup ?? ""}>
            {places.map((place) => (
              <Menu.Item
                key={place.tenant_id}
                className={popup.item ?? ""}
                aria-current={place.tenant_id === tenantId}
                onClick={() => void navigate({ to: "/t/$tenantId", params: { tenantId: place.tenant_id }, search: {} })}
              >
                {place.tenant_name}
                <span className={styles.workspace}>{place.workspace_name}</span>
              </Menu.Item>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "Like the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function Account({ onHelp }: { onHelp: () => void }): ReactNode {
  const { me } = useSession();
  const theme = useTheme();
  const [refused, setRefused] = useState<unknown>();
  return (
    <>
      {refused ? <ErrorNote error={refused} retry={() => setRefused(undefined)} /> : null}
      <Menu.Root>
        <Menu.Trigger className={styles.account ?? ""} title="Account">
          <Icon name="person" />
          <span>{me?.email}</span>
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner className={popup.positioner ?? ""} side="top" align="start" sideOffset={4}>
            <Menu.Popup className={popup.popup ?? ""}>
              <Menu.Group>
                <Menu.GroupLabel className={popup.heading ?? ""}>Theme</Menu.GroupLabel>
                {THEMES.map(([value, name]) => (
                  <Menu.Item
                    key={value}
                    className={popup.item ?? ""}
                    aria-current={theme === value}
                    onClick={() => chooseMyTheme(value)}
                  >
                    {name}
                  </Menu.Item>
                ))}
              </Menu.Group>
              <Menu.Separator className={popup.rule ?? ""} />
              <Menu.Item className={popup.item ?? ""} onClick={onHelp}>
                Keys
              </Menu.Item>
              <Menu.Item className={popup.item ?? ""} onClick={() => void logOut()}>
                Log out
              </Menu.Item>
              <Menu.Item
                className={popup.item ?? ""}
                onClick={() =>
                  void logOutEverywhere().catch((error: unknown) => {
                    if (asApiError(error).code !== "reauthentication-required") setRefused(error);
                  })
                }
              >
                Log out everywhere
              </Menu.Item>
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </>
  );
}
