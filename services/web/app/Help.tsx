import { type ReactNode, useEffect, useRef, useState } from "react";
import auth from "../parts/auth.module.css";
import { Button } from "../parts/controls";
import { useAllKeys, useKeys } from "./keys";
import styles from "./Shell.module.css";

/** The card of keys, from the registry. */
export function Help(): ReactNode {
  const [open, setOpen] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const keys = useAllKeys();
  useKeys([{ keys: "?", what: "Show the keys", run: () => setOpen(true) }]);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className={auth.dialog} aria-labelledby="keys-title" onClose={() => setOpen(false)}>
      <h2 id="keys-title" className={auth.title}>
        Keys
      </h2>
      <dl className={styles.keys}>
        {[...new Map(keys.map((one) => [one.keys, one.what]))].map(([pressed, what]) => (
          <KeyLine key={pressed} pressed={pressed} what={what} />
        ))}
      </dl>
      <Button className={styles.close ?? ""} onClick={() => setOpen(false)}>
        Close
      </Button>
    </dialog>
  );
}

function KeyLine({ pressed, what }: { pressed: string; what: string }): ReactNode {
  return (
    <>
      <dt>
        <kbd>{pressed}</kbd>
      </dt>
      <dd>{what}</dd>
    </>
  );
}
