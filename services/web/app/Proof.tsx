import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { answered, api } from "../api/client";
import auth from "../parts/auth.module.css";
import { Button, Field } from "../parts/controls";
import { ErrorNote } from "../parts/states";
import { giveUpProof, prove, useSession } from "./session";

/** Asks once more who one is where the API wants a recent login; what was asked for then goes on. */
export function Proof(): ReactNode {
  const { isProofWanted } = useSession();
  return isProofWanted ? <Asked /> : null;
}

function Asked(): ReactNode {
  const { me } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const second = useQuery({
    queryKey: ["second factor"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/auth/mfa", { signal })),
    staleTime: 0,
  });
  useEffect(() => dialog.current?.showModal(), []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await prove({ password, code });
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  }
  return (
    <dialog ref={dialog} className={auth.dialog} aria-labelledby="proof-title" onClose={giveUpProof}>
      <h2 id="proof-title" className={auth.title}>
        Show once more who you are
      </h2>
      <p className={auth.text}>This needs a login within the last five minutes. It goes on after that.</p>
      <form className={auth.form} onSubmit={(event) => void submit(event)}>
        {error ? <ErrorNote error={error} /> : null}
        <input type="hidden" autoComplete="username" value={me?.email ?? ""} readOnly />
        <Field
          label="Password"
          type="password"
          autoComplete="current-password"
          required={!second.data?.is_enabled}
          autoFocus
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {second.data?.is_enabled ? (
          <Field
            label="Code"
            hint="Six digits from your authenticator app, or one of your backup codes."
            autoComplete="one-time-code"
            required
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        ) : null}
        <Button look="primary" type="submit" disabled={isBusy}>
          {isBusy ? "One moment…" : "Go on"}
        </Button>
      </form>
      <Button look="quiet" onClick={() => dialog.current?.close()}>
        Cancel
      </Button>
    </dialog>
  );
}
