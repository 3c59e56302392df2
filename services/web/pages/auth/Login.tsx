import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answered, openApi } from "../../api/client";
import { ApiError } from "../../api/errors";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { Button, Field } from "../../parts/controls";
import { LoginForm } from "../../parts/LoginForm";
import { ErrorNote } from "../../parts/states";

export function Login(): ReactNode {
  const [isForgotten, setForgotten] = useState(false);
  const [refused] = useState(problemOfAddress);
  if (isForgotten) return <Forgotten onBack={() => setForgotten(false)} />;
  return (
    <AuthCard title="Log in">
      {refused ? <ErrorNote error={refused} /> : null}
      <LoginForm />
      <Button look="quiet" onClick={() => setForgotten(true)}>
        I have forgotten my password
      </Button>
    </AuthCard>
  );
}

/** Why a login through a provider did not succeed, if the browser has just come back from one. */
function problemOfAddress(): ApiError | undefined {
  const code = new URLSearchParams(location.search).get("problem");
  return code === null ? undefined : new ApiError({ code, detail: "That login did not succeed." }, 401);
}

/** Asks for a link by mail that sets another password. */
function Forgotten({ onBack }: { onBack: () => void }): ReactNode {
  const [email, setEmail] = useState("");
  const ask = useMutation({
    mutationFn: () => answered(openApi.POST("/api/v1/auth/password/forgotten", { body: { email } })),
  });
  return (
    <AuthCard title="A link for another password">
      {ask.data ? (
        <p className={styles.text} role="status">
          If {email} has an account here, a link is on its way there. It works once, for half an hour.
        </p>
      ) : (
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            ask.mutate();
          }}
        >
          {ask.error ? <ErrorNote error={ask.error} /> : null}
          <Field
            label="Email"
            type="email"
            autoComplete="username"
            required
            autoFocus
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
          <Button look="primary" type="submit" disabled={ask.isPending}>
            Send the link
          </Button>
        </form>
      )}
      <Button look="quiet" onClick={onBack}>
        Back to the login
      </Button>
    </AuthCard>
  );
}
