import { type ReactNode, useEffect, useRef } from "react";
import auth from "../parts/auth.module.css";
import { Button } from "../parts/controls";
import { isSingle, useAllKeys, useKeys, useSingleKeys } from "./keys";
import styles from "./Shell.module.css";
import { switchMySingleKeys } from "./settings";

/** The card of keys, from the registry, with the switch for those that need no Ctrl. */
export function Help({ open, onOpen }: { open: boolean; onOpen: (open: boolean) => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const keys = useAllKeys();
  const areOn = useSingleKeys();
  useKeys([{ keys: "?", what: "Show the keys", run: () => onOpen(true) }]);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const shown = areOn ? keys : keys.filter((one) => !isSingle(one.keys));
  return (
    <dialog ref={dialog} className={auth.dialog} aria-labelledby="keys-title" onClose={() => onOpen(false)}>
      <h2 id="keys-title" className={auth.title}>
        Keys
      </h2>
      <label className={styles.switch}>
        <input type="checkbox" checked={areOn} onChange={(event) => switchMySingleKeys(event.target.checked)} />
        Single keys do something on pages
      </label>
      <dl className={styles.keys}>
        {[...new Map(shown.map((one) => [one.keys, one.what]))].map(([pressed, what]) => (
          <KeyLine key={pressed} pressed={pressed} what={what} />
        ))}
      </dl>
      <Button className={styles.close ?? ""} onClick={() => onOpen(false)}>
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
