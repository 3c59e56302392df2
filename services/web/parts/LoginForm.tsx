import { type FormEvent, type ReactNode, useState } from "react";
import { asApiError } from "../api/errors";
import { logIn } from "../app/session";
import styles from "./auth.module.css";
import { Button, Field } from "./controls";
import { ProviderLogin } from "./ProviderLogin";
import { ErrorNote } from "./states";

/** Address and password, and the second factor when the account has one. */
export function LoginForm({ email: known }: { email?: string }): ReactNode {
  const [email, setEmail] = useState(known ?? "");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState<string>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await logIn({ email, password, ...(code ? { code } : {}) });
    } catch (thrown) {
      if (asApiError(thrown).code === "mfa-required") setCode("");
      else setError(thrown);
      setBusy(false);
    }
  }

  // The API names the provider to those alone who know the password.
  const problem = error ? asApiError(error) : undefined;
  const provider =
    problem?.code === "sso-required" ? /\/oidc\/([a-z0-9-]+)\/start/.exec(problem.message)?.[1] : undefined;
  return (
    <div className={styles.form}>
      <form className={styles.form} onSubmit={(event) => void submit(event)}>
        {error ? <ErrorNote error={error} /> : null}
        {code === undefined ? (
          <>
            <Field
              label="Email"
              type="email"
              autoComplete="username"
              required
              readOnly={known !== undefined}
              autoFocus={known === undefined}
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
            <Field
              label="Password"
              type="password"
              autoComplete="current-password"
              required
              autoFocus={known !== undefined}
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          </>
        ) : (
          <Field
            label="Code"
            hint="Six digits from your authenticator app, or one of your backup codes."
            autoComplete="one-time-code"
            required
            autoFocus
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        )}
        <Button look="primary" type="submit" disabled={busy}>
          {busy ? "One moment…" : "Log in"}
        </Button>
      </form>
      {code === undefined ? <ProviderLogin named={provider} /> : null}
    </div>
  );
}
