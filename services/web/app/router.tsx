import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
  Navigate,
  Outlet,
} from "@tanstack/react-router";
import type { ReactNode } from "react";
import { BASE } from "../api/client";
import { Page } from "../parts/Page";
import { Empty, ErrorNote, Skeleton } from "../parts/states";
import { type Place, parsePlace } from "./place";
import { Landing, Shell } from "./Shell";
import { useSession } from "./session";

const root = createRootRoute({
  component: Outlet,
  validateSearch: (search: Record<string, unknown>): Place => parsePlace(search),
  notFoundComponent: () => (
    <main>
      <NoPage />
    </main>
  ),
});

/** Below the menu where the tenant is known. */
function NoPage(): ReactNode {
  return (
    <Empty title="There is no such page" actions={<Link to="/">Go to the first page</Link>}>
      The address may be mistyped, or of another version.
    </Empty>
  );
}

/** A path without a tenant goes to the reader's own. */
function Home(): ReactNode {
  const { me } = useSession();
  return me ? <Navigate to="/t/$tenantId" params={{ tenantId: me.tenant_id }} search={{}} replace /> : null;
}

const home = createRoute({ getParentRoute: () => root, path: "/", component: Home });
const tenant = createRoute({
  getParentRoute: () => root,
  path: "/t/$tenantId",
  component: Shell,
  notFoundComponent: () => (
    <Page title="No such page" timed={false}>
      <NoPage />
    </Page>
  ),
});
const landing = createRoute({ getParentRoute: () => tenant, path: "/", component: Landing });
const services = createRoute({
  getParentRoute: () => tenant,
  path: "services",
  component: lazyRouteComponent(() => import("../pages/services/Services"), "Services"),
});
const service = createRoute({
  getParentRoute: () => tenant,
  path: "services/one",
  component: lazyRouteComponent(() => import("../pages/services/Service"), "Service"),
});
const start = createRoute({
  getParentRoute: () => tenant,
  path: "start",
  component: lazyRouteComponent(() => import("../pages/start/Start"), "Start"),
});
const logs = createRoute({
  getParentRoute: () => tenant,
  path: "logs",
  component: lazyRouteComponent(() => import("../pages/logs/Logs"), "Logs"),
});
const metrics = createRoute({
  getParentRoute: () => tenant,
  path: "metrics",
  component: lazyRouteComponent(() => import("../pages/metrics/Metrics"), "Metrics"),
});
const ingest = createRoute({
  getParentRoute: () => tenant,
  path: "ingest",
  component: lazyRouteComponent(() => import("../pages/ingest/Ingest"), "Ingest"),
});
const traces = createRoute({
  getParentRoute: () => tenant,
  path: "traces",
  component: lazyRouteComponent(() => import("../pages/traces/Traces"), "Traces"),
});
const trace = createRoute({
  getParentRoute: () => tenant,
  path: "traces/$traceId",
  component: lazyRouteComponent(() => import("../pages/traces/Trace"), "Trace"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    tenant.addChildren([landing, services, service, start, logs, traces, trace, metrics, ingest]),
  ]),
  basepath: BASE,
  defaultPreload: "intent",
  defaultPendingComponent: Skeleton,
  defaultErrorComponent: ({ error, reset }) => <ErrorNote error={error} retry={reset} />,
  // Everything in our URLs is text: a query of digits stays one.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const said = Object.entries(search).filter((entry): entry is [string, string] => typeof entry[1] === "string");
    return said.length > 0 ? `?${new URLSearchParams(said)}` : "";
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
