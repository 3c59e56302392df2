import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import { enrolled, hasTypedPassword, logOut } from "../../app/session";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { Button, CopyButton, Field } from "../../parts/controls";
import { ErrorNote } from "../../parts/states";

/** Enrols the second factor that the organization requires: password, QR code, code, backup codes. */
export function Enrol(): ReactNode {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksPassword, setAsksPassword] = useState(hasTypedPassword);
  const begin = useMutation({
    mutationFn: () => answered(api.POST("/api/v1/auth/mfa/enrolment", { body: asksPassword ? { password } : {} })),
    // Some time after the login the API asks for more: a password is what most have.
    onError: () => setAsksPassword(true),
  });
  const confirm = useMutation({
    mutationFn: () => answered(api.POST("/api/v1/auth/mfa/confirmation", { body: { mfa_code: code } })),
  });
  const goOn = useMutation({ mutationFn: enrolled });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (begin.data) confirm.mutate();
    else begin.mutate();
  };
  const codes = confirm.data?.backup_codes;
  return (
    <AuthCard title={codes ? "Keep these codes" : "Add a second factor"}>
      {codes ? (
        <>
          <p className={styles.text}>
            Each logs you in once if your authenticator app is lost. They are not shown again.
          </p>
          <ul className={styles.codes}>
            {codes.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
          <div className={styles.row}>
            <CopyButton text={codes.join("\n")} small={false} />
            <Button look="primary" disabled={goOn.isPending} onClick={() => goOn.mutate()}>
              I have kept them
            </Button>
          </div>
          {goOn.error ? <ErrorNote error={goOn.error} /> : null}
        </>
      ) : (
        <form className={styles.form} onSubmit={submit}>
          <p className={styles.text}>
            {begin.data
              ? "Scan the picture with an authenticator app, or type the secret into it; then enter the code that it shows."
              : "Your organization asks for a second factor besides the password."}
          </p>
          {(begin.error ?? confirm.error) ? <ErrorNote error={begin.error ?? confirm.error} /> : null}
          {begin.data ? (
            <>
              <img
                className={styles.qr}
                alt="QR code of the secret below"
                src={`data:image/svg+xml,${encodeURIComponent(begin.data.qr_svg)}`}
              />
              <code>{begin.data.secret}</code>
              <Field
                label="Code"
                autoComplete="one-time-code"
                required
                autoFocus
                value={code}
                onChange={(event) => setCode(event.target.value)}
              />
            </>
          ) : asksPassword ? (
            <Field
              label="Password"
              type="password"
              autoComplete="current-password"
              required
              autoFocus
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          ) : null}
          <Button look="primary" type="submit" disabled={begin.isPending || confirm.isPending}>
            Continue
          </Button>
          <Button look="quiet" onClick={() => void logOut()}>
            Log out
          </Button>
        </form>
      )}
    </AuthCard>
  );
}
