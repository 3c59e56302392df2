import { keepPreviousData, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { type ReactNode, StrictMode, useCallback, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { BASE } from "../api/client";
import { asApiError } from "../api/errors";
import { Enrol } from "../pages/auth/Enrol";
import { linkPage } from "../pages/auth/Links";
import { Login } from "../pages/auth/Login";
import { NewPassword } from "../pages/auth/NewPassword";
import { ShowCode } from "../pages/auth/ShowCode";
import auth from "../parts/auth.module.css";
import { Button } from "../parts/controls";
import { LoginForm } from "../parts/LoginForm";
import { Empty } from "../parts/states";
import "./tokens.css";
import "./base.css";
import { Proof } from "./Proof";
import { router } from "./router";
import { logOut, start, useSession, whenTenantSwitches } from "./session";
import { takeSettings } from "./settings";

const STALE_MS = 60_000;
const RETRY_MAX_MS = 10_000;
const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: STALE_MS,
      placeholderData: keepPreviousData,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 2 && [0, 502, 503].includes(asApiError(error).status),
      retryDelay: (failures, error) => Math.min((asApiError(error).retryAfterS ?? 2 ** failures) * 1000, RETRY_MAX_MS),
    },
  },
});
whenTenantSwitches(() => {
  void client.cancelQueries();
  client.clear();
});

function App(): ReactNode {
  const { standing, passwordExpiresAt, me } = useSession();
  const userId = standing === "in" ? me?.user_id : undefined;
  useEffect(() => {
    if (userId !== undefined) void takeSettings();
  }, [userId]);
  const [link] = useState(linkPage);
  const Link = standing === "in" && linkPage() === undefined ? undefined : link;
  // Whoever opens a link of a mail need not be logged in, nor be the one who is.
  if (Link) return standing === "enrol" ? <Enrol /> : <Link />;
  if (standing === "starting") return <div className="boot" />;
  if (standing === "out") return <Login />;
  if (standing === "enrol") return <Enrol />;
  if (standing === "code") return <ShowCode />;
  if (standing === "unreachable") {
    return (
      <Empty
        title="duoscope does not answer"
        actions={<Button onClick={() => void start(tenantInPath())}>Try again</Button>}
      >
        It may be starting, or the connection to it is gone.
      </Empty>
    );
  }
  if (passwordExpiresAt !== undefined) return <NewPassword />;
  return (
    <>
      <RouterProvider router={router} />
      {standing === "ended" ? <Again /> : null}
      <Proof />
    </>
  );
}

/** Asks for the password over the page when the session has ended; what was typed below stays. */
function Again(): ReactNode {
  const { me } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const show = useCallback(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
    dialog.current?.querySelector<HTMLInputElement>("input:not([readonly])")?.focus();
  }, []);
  useEffect(() => {
    show();
    return () => void client.invalidateQueries();
  }, [show]);
  return (
    <dialog
      ref={dialog}
      className={auth.dialog}
      aria-labelledby="again-title"
      onCancel={(event) => event.preventDefault()}
      // Browsers close a dialog on a second Esc whatever the page says; there is nothing to do below it.
      onClose={show}
    >
      <h2 id="again-title" className={auth.title}>
        Your session has ended
      </h2>
      <p className={auth.text}>Log in again to go on where you are.</p>
      <LoginForm {...(me ? { email: me.email } : {})} />
      <Button look="quiet" onClick={() => void logOut().catch(() => location.assign(BASE))}>
        Log in as somebody else
      </Button>
    </dialog>
  );
}

const tenantInPath = (): string | undefined => /\/t\/([0-9a-f-]{36})(\/|$)/.exec(location.pathname)?.[1];

void start(tenantInPath());
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
