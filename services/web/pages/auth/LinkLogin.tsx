import type { ReactNode } from "react";
import { AuthCard } from "../../parts/AuthCard";
import styles from "../../parts/auth.module.css";
import { LoginForm } from "../../parts/LoginForm";

/** The login after a link has done its work. */
export function LinkLogin({ title, words, email }: { title: string; words: string; email?: string }): ReactNode {
  return (
    <AuthCard title={title}>
      <p className={styles.text}>{words}</p>
      <LoginForm {...(email === undefined ? {} : { email })} />
    </AuthCard>
  );
}
