import { type ReactNode, useEffect } from "react";
import { usePlace, useRange } from "../app/place";
import { CopyButton } from "./controls";
import styles from "./Page.module.css";
import { TimePicker } from "./TimePicker";

interface PageProps {
  title: string;
  /** The way back to the list that it is of. */
  back?: ReactNode;
  /** What stands in the bar beside the title. */
  tools?: ReactNode;
  /** Whether the page is of a range of time. */
  timed?: boolean;
  /** Whether something is being fetched. */
  busy?: boolean;
  children: ReactNode;
}

/** A page of the shell: its title, its tools, the time picker, and its content below. */
export function Page({ title, back, tools, timed = true, busy = false, children }: PageProps): ReactNode {
  useEffect(() => {
    document.title = `${title} · duoscope`;
    return () => {
      document.title = "duoscope";
    };
  }, [title]);
  return (
    <main className={styles.page} id="content" tabIndex={-1}>
      <header className={`${styles.bar} ${busy ? styles.busy : ""}`}>
        {back}
        <h1 className={styles.title}>{title}</h1>
        {tools}
        <span className={styles.spacer} />
        {timed ? (
          <>
            <CopyLink />
            <TimePicker />
          </>
        ) : null}
      </header>
      <div className={styles.content}>{children}</div>
    </main>
  );
}

/** Copies the address of what one sees, with its times instead of "the last hour". */
function CopyLink(): ReactNode {
  const { start, end } = useRange();
  const place = usePlace();
  const link = new URL(location.href);
  if (place.from === undefined) {
    link.searchParams.delete("range");
    link.searchParams.set("from", start);
    link.searchParams.set("to", end);
  }
  return <CopyButton text={link.href} label="Copy link" small={false} />;
}

export const pageStyles = styles;
