import { type FormEvent, type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import { madePassword, passwordSettled, useSession } from "../../app/session";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { Button, Field } from "../../parts/controls";
import { clock } from "../../parts/pure/times";
import { ErrorNote } from "../../parts/states";

const LEAST = 12;

/** Asks for a password of one's own in place of one that duoscope made. */
export function NewPassword(): ReactNode {
  const { me, passwordExpiresAt } = useSession();
  const [chosen, setChosen] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const body = { current_password: madePassword(), new_password: chosen };
      await answered(api.POST("/api/v1/auth/password/change", { body }));
      passwordSettled();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  }

  const end = passwordExpiresAt ? clock(Math.floor(Date.parse(passwordExpiresAt) / 60_000) * 60_000, undefined) : "";
  return (
    <AuthCard title="Set your own password">
      <p className={styles.text}>duoscope made the password that you used. It works until {end}.</p>
      <form className={styles.form} onSubmit={(event) => void submit(event)}>
        {error ? <ErrorNote error={error} /> : null}
        <input type="hidden" name="username" autoComplete="username" value={me?.email ?? ""} />
        <Field
          label="New password"
          hint="12 characters or more, of any kind."
          type="password"
          autoComplete="new-password"
          required
          autoFocus
          minLength={LEAST}
          value={chosen}
          onChange={(event) => setChosen(event.target.value)}
        />
        <Button look="primary" type="submit" disabled={busy}>
          {busy ? "One moment…" : "Set password"}
        </Button>
        <Button look="quiet" onClick={passwordSettled}>
          Not now
        </Button>
      </form>
    </AuthCard>
  );
}
