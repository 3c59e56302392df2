import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { logOut, showCode } from "../../app/session";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { Button, Field } from "../../parts/controls";
import { ErrorNote } from "../../parts/states";

/** Asks for the second factor of whoever came through an identity provider, which showed less than is wanted here. */
export function ShowCode(): ReactNode {
  const [code, setCode] = useState("");
  const show = useMutation({ mutationFn: () => showCode(code) });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    show.mutate();
  };
  return (
    <AuthCard title="Your second factor">
      <form className={styles.form} onSubmit={submit}>
        {show.error ? <ErrorNote error={show.error} /> : null}
        <Field
          label="Code"
          hint="Six digits from your authenticator app, or one of your backup codes."
          autoComplete="one-time-code"
          required
          autoFocus
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
        <Button look="primary" type="submit" disabled={show.isPending}>
          {show.isPending ? "One moment…" : "Continue"}
        </Button>
        <Button look="quiet" onClick={() => void logOut()}>
          Log out
        </Button>
      </form>
    </AuthCard>
  );
}
