import type { ReactNode } from "react";
import { type ApiError, asApiError, inWords } from "../api/errors";
import { Button } from "./controls";
import styles from "./states.module.css";

const FORBIDDEN = 403;

/** What went wrong, what to do, and the id to report it by. */
export function ErrorNote({ error, retry }: { error: unknown; retry?: () => void }): ReactNode {
  const problem: ApiError = asApiError(error);
  return (
    <div className={styles.error} role="alert">
      <span>
        <span className={styles.sign}>{problem.status === FORBIDDEN ? "Not allowed: " : "Error: "}</span>
        {inWords(problem)}
      </span>
      {problem.requestId === "" ? null : <code className={styles.request}>request {problem.requestId}</code>}
      <span className={styles.spacer} />
      {retry && problem.status !== FORBIDDEN ? (
        <Button small onClick={retry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

/** A page or list without content: which kind of nothing it is, and what to do. */
export function Empty({
  title,
  children,
  actions,
}: {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}): ReactNode {
  return (
    <div className={styles.state}>
      <h2 className={styles.title}>{title}</h2>
      {children ? <div className={styles.text}>{children}</div> : null}
      {actions ? <div className={styles.actions}>{actions}</div> : null}
    </div>
  );
}

const BARS = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** What stands in for content that is not there yet; it appears only if that takes a while. */
export function Skeleton(): ReactNode {
  return (
    <div className={styles.bars} role="status">
      <span className="hidden">Loading</span>
      {BARS.map((bar) => (
        <span key={bar} />
      ))}
    </div>
  );
}
