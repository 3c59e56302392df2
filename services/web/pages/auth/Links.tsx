// The pages that links in mail open. The token stands after the # of the link, so no server receives it until the
// button is pressed, and then in the body only.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { answered, BASE, openApi } from "../../api/client";
import { logIn } from "../../app/session";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { Button, buttonClass, Field } from "../../parts/controls";
import { ErrorNote } from "../../parts/states";
import { LinkLogin } from "./LinkLogin";

const PASSWORD_LEAST = 12;
const PASSWORD_HINT = "12 characters or more, of any kind.";

const token = (): string => location.hash.slice(1);

/** Takes the token out of the address, and goes to the first page. */
const goHome = (): void => history.replaceState(null, "", BASE);

/** Accepts an invitation: a name and a password, and then one is in. */
export function Invitation(): ReactNode {
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const [password, setPassword] = useState("");
  const [joined, setJoined] = useState<string>();
  const join = useMutation({
    mutationFn: async () => {
      const body = { token: token(), first_name: first, last_name: last, password };
      const { email } = await answered(openApi.POST("/api/v1/invitations/accept", { body }));
      goHome();
      // Whoever cannot be logged in right away has an account all the same.
      await logIn({ email, password }).catch(() => setJoined(email));
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    join.mutate();
  };
  if (joined !== undefined)
    return <LinkLogin title="Welcome to duoscope" words="Your account is there." email={joined} />;
  if (token() === "") return <NoToken what="invitation" />;
  return (
    <AuthCard title="Join on duoscope">
      <p className={styles.text}>Somebody has invited you. Choose how you are called here, and a password.</p>
      <form className={styles.form} onSubmit={submit}>
        {join.error ? <ErrorNote error={join.error} /> : null}
        <Field
          label="First name"
          autoComplete="given-name"
          required
          maxLength={100}
          autoFocus
          value={first}
          onChange={(event) => setFirst(event.target.value)}
        />
        <Field
          label="Last name"
          autoComplete="family-name"
          required
          maxLength={100}
          value={last}
          onChange={(event) => setLast(event.target.value)}
        />
        <PasswordField value={password} onChange={setPassword} />
        <Button look="primary" type="submit" disabled={join.isPending}>
          {join.isPending ? "One moment…" : "Join"}
        </Button>
      </form>
    </AuthCard>
  );
}

/** Sets another password in place of a forgotten one. */
export function PasswordReset(): ReactNode {
  const [password, setPassword] = useState("");
  const reset = useMutation({
    mutationFn: async () => {
      await answered(openApi.POST("/api/v1/auth/password/reset", { body: { token: token(), password } }));
      goHome();
    },
  });
  if (reset.isSuccess) {
    return <LinkLogin title="Your password is set" words="All your sessions were ended; log in with the new one." />;
  }
  if (token() === "") return <NoToken what="password" />;
  return (
    <AuthCard title="Set another password">
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          reset.mutate();
        }}
      >
        {reset.error ? <ErrorNote error={reset.error} /> : null}
        <PasswordField value={password} onChange={setPassword} isFirst />
        <Button look="primary" type="submit" disabled={reset.isPending}>
          {reset.isPending ? "One moment…" : "Set password"}
        </Button>
      </form>
    </AuthCard>
  );
}

/** Confirms that an address is one's own. */
export function EmailConfirmation(): ReactNode {
  const confirm = useMutation({
    mutationFn: () => answered(openApi.POST("/api/v1/auth/email-verification/confirm", { body: { token: token() } })),
  });
  if (token() === "") return <NoToken what="address" />;
  return (
    <AuthCard title={confirm.isSuccess ? "Your address is verified" : "Is this your address?"}>
      {confirm.error ? <ErrorNote error={confirm.error} /> : null}
      {confirm.isSuccess ? (
        <a className={buttonClass("primary")} href={BASE}>
          Go on to duoscope
        </a>
      ) : (
        <>
          <p className={styles.text}>Confirm that the mail with this link came to an address of yours.</p>
          <Button look="primary" disabled={confirm.isPending} onClick={() => confirm.mutate()}>
            Yes, it is mine
          </Button>
        </>
      )}
    </AuthCard>
  );
}

interface PasswordFieldProps {
  value: string;
  onChange: (value: string) => void;
  isFirst?: boolean;
}

const PasswordField = ({ value, onChange, isFirst = false }: PasswordFieldProps): ReactNode => (
  <Field
    label="Password"
    hint={PASSWORD_HINT}
    type="password"
    autoComplete="new-password"
    required
    minLength={PASSWORD_LEAST}
    maxLength={512}
    autoFocus={isFirst}
    value={value}
    onChange={(event) => onChange(event.target.value)}
  />
);

const NoToken = ({ what }: { what: string }): ReactNode => (
  <AuthCard title="This link is not complete">
    <p className={styles.text}>
      Links in mails about your {what} have a part after a #, which is missing here. Open the whole link.
    </p>
    <a className={buttonClass()} href={BASE}>
      Log in
    </a>
  </AuthCard>
);

const PAGES = new Map([
  ["invitation", Invitation],
  ["password", PasswordReset],
  ["email", EmailConfirmation],
]);

/** The page of a link in a mail, if that is what was opened. */
export const linkPage = (): (() => ReactNode) | undefined =>
  PAGES.get(location.pathname.slice(BASE.length).replace(/\/$/, ""));
