import type { ReactNode } from "react";
import styles from "../../parts/auth.module.css";
import { Mark } from "../../parts/Brand";
import { LoginForm } from "../../parts/LoginForm";

export function Login(): ReactNode {
  return (
    <main className={styles.page}>
      <div className={styles.card}>
        <div className={styles.brand}>
          <Mark size={24} /> duoscope
        </div>
        <h1 className={styles.title}>Log in</h1>
        <LoginForm />
      </div>
    </main>
  );
}
