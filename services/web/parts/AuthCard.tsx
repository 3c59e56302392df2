import type { ReactNode } from "react";
import styles from "./auth.module.css";
import { Mark } from "./Brand";

/** A page of one card: what there is before somebody is logged in. */
export function AuthCard({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <main className={styles.page}>
      <div className={styles.card}>
        <div className={styles.brand}>
          <Mark size={24} /> duoscope
        </div>
        <h1 className={styles.title}>{title}</h1>
        {children}
      </div>
    </main>
  );
}
