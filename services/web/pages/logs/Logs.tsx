import { useIsFetching } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { usePlace, useRange, useSetPlace } from "../../app/place";
import { Button } from "../../parts/controls";
import { Page } from "../../parts/Page";
import { Facets, FacetsSwitch } from "../../parts/query/Facets";
import { QueryLine } from "../../parts/query/QueryLine";
import { useKept } from "../../parts/useKept";
import styles from "./Logs.module.css";
import { Patterns } from "./Patterns";
import { Records } from "./Records";
import { TailView } from "./TailView";

const VIEWS = [
  [undefined, "Records", "What matches in the range, newest first"],
  ["patterns", "Patterns", "The same, folded into forms"],
  ["tail", "Tail", "Records as they arrive"],
] as const;

/** What a view of logs stands in. */
export interface ViewProps {
  query: string;
  /** The line of the query, with what the API said of it. */
  line: (error: unknown) => ReactNode;
  /** The fields beside it. */
  fields: (isAsked: boolean) => ReactNode;
}

/** Records of a range, or as they arrive, as a list or as patterns. */
export function Logs(): ReactNode {
  const range = useRange();
  const { q = "", view, open } = usePlace();
  const setPlace = useSetPlace();
  const [hasFields, setFields] = useKept("fields", true);
  const isBusy = useIsFetching({ queryKey: ["logs"] }) + useIsFetching({ queryKey: ["patterns"] }) > 0;
  const props: ViewProps = {
    query: q,
    line: (error) => (
      <QueryLine
        signal="logs"
        query={q}
        placeholder='Words, "phrases" and field:value, such as  service:checkout severity>=warn "connection refused"'
        error={error}
        onRun={(query) => {
          setPlace({ q: query, open: undefined });
          if (query === q) range.refresh();
        }}
      />
    ),
    fields: (isAsked) => (hasFields ? <Facets signal="logs" query={q} isAsked={isAsked} /> : null),
  };
  return (
    <Page
      title="Logs"
      busy={isBusy}
      tools={
        <>
          <fieldset className={styles.views} aria-label="View">
            {VIEWS.map(([key, name, what]) => (
              <Button
                key={name}
                aria-pressed={view === key}
                title={what}
                onClick={() => setPlace({ view: key, open: undefined })}
              >
                {name}
              </Button>
            ))}
          </fieldset>
          <FacetsSwitch
            isOn={hasFields}
            onSwitch={setFields}
            closePanel={open === undefined ? undefined : () => setPlace({ open: undefined }, { replace: true })}
          />
        </>
      }
    >
      {view === "tail" ? (
        <TailView {...props} />
      ) : view === "patterns" ? (
        <Patterns {...props} />
      ) : (
        <Records {...props} />
      )}
    </Page>
  );
}
