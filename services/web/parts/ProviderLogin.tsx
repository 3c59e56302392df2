import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { logInThrough } from "../app/session";
import styles from "./auth.module.css";
import { Button, Field } from "./controls";
import { ErrorNote } from "./states";

/** The provider that this browser used last. */
const KEPT = "duoscope.provider";

/** Logs in through the identity provider of an organization: the one that is named, or was used before. */
export function ProviderLogin({ named }: { named?: string | undefined }): ReactNode {
  const [kept, setKept] = useState(() => localStorage.getItem(KEPT) ?? "");
  const [slug, setSlug] = useState("");
  const [isOpen, setOpen] = useState(false);
  const known = named ?? kept;
  const go = useMutation({
    mutationFn: async (chosen: string) => {
      await logInThrough(chosen);
      localStorage.setItem(KEPT, chosen);
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    go.mutate(slug.trim().toLowerCase());
  };
  return (
    <div className={styles.provider}>
      {go.error ? <ErrorNote error={go.error} /> : null}
      {known !== "" ? (
        <>
          <Button look={named ? "primary" : "plain"} disabled={go.isPending} onClick={() => go.mutate(known)}>
            Continue with {known}
          </Button>
          {named ? null : (
            <Button
              look="quiet"
              onClick={() => {
                setKept("");
                setOpen(true);
              }}
            >
              Another organization
            </Button>
          )}
        </>
      ) : isOpen ? (
        <form className={styles.form} onSubmit={submit}>
          <Field
            label="Short name of its login"
            hint="Your admin knows it. You log in there, and come back."
            required
            autoFocus
            spellCheck={false}
            autoCapitalize="off"
            value={slug}
            onChange={(event) => setSlug(event.target.value)}
          />
          <Button type="submit" disabled={go.isPending}>
            Continue
          </Button>
        </form>
      ) : (
        <Button look="quiet" onClick={() => setOpen(true)}>
          Use my organization's login
        </Button>
      )}
    </div>
  );
}
