import type { ReactNode } from "react";
import { usePlace, useSetPlace } from "../../app/place";
import { Button } from "../../parts/controls";
import { Icon } from "../../parts/icons";
import { plain } from "../../parts/pure/formats";
import { Picker } from "../../parts/query/Picker";
import { countsByName, useFieldNames } from "../../parts/query/useFieldNames";
import { useKept } from "../../parts/useKept";
import { BY_SEVERITY } from "./LogHistogram";
import styles from "./Logs.module.css";

const COLUMNS_MAX = 6;
/** What the list shows anyway. */
const SHOWN = new Set(["service", "severity", "body", "service.name"]);

export interface Look {
  columns: readonly string[];
  isWrapped: boolean;
  isDense: boolean;
  setDense: (on: boolean) => void;
}

/** How the list of records looks: columns and wrapping are in the URL, density is this browser's. */
export function useLook(): Look {
  const { cols, wrap } = usePlace();
  const [isDense, setDense] = useKept("dense", false);
  const columns = (cols ?? "").split(",").filter(Boolean).slice(0, COLUMNS_MAX);
  return { columns, isWrapped: wrap === "1", isDense, setDense };
}

/** The bar above the list: columns, wrapping, density, and what else stands there. */
export function LogLook({ look, children }: { look: Look; children: ReactNode }): ReactNode {
  const { columns, isWrapped, isDense, setDense } = look;
  const setPlace = useSetPlace();
  const { by = BY_SEVERITY } = usePlace();
  const names = useFieldNames("logs", "", true);
  const choices = [...countsByName([names.data]).keys()].filter(
    (name) => !SHOWN.has(name) && !name.includes(",") && !columns.includes(name),
  );
  const setColumns = (next: readonly string[]): void =>
    setPlace({ cols: next.join(",") || undefined }, { replace: true });
  return (
    <div className={styles.look}>
      {columns.map((name) => (
        <Button
          key={name}
          small
          title={`Without the column ${plain(name)}`}
          onClick={() => setColumns(columns.filter((one) => one !== name))}
        >
          {plain(name)} <Icon name="close" size={12} />
        </Button>
      ))}
      {columns.length < COLUMNS_MAX ? (
        <div className={styles.column}>
          <Picker
            key={columns.join(",")}
            label="Add a column"
            value=""
            choices={choices}
            placeholder="+ column"
            onChoose={(name) => setColumns([...columns, name])}
          />
        </div>
      ) : null}
      <span aria-hidden="true">Chart by</span>
      <div className={styles.column}>
        <Picker
          label="Chart by"
          value={by}
          choices={[
            BY_SEVERITY,
            "service",
            ...[...countsByName([names.data]).keys()].filter((name) => !SHOWN.has(name)),
          ]}
          onChoose={(name) => setPlace({ by: name === BY_SEVERITY ? undefined : name }, { replace: true })}
        />
      </div>
      <Button
        small
        aria-pressed={isWrapped}
        title="Show whole bodies, in as many lines as they take"
        onClick={() => setPlace({ wrap: isWrapped ? undefined : "1" }, { replace: true })}
      >
        Wrap
      </Button>
      <Button small aria-pressed={isDense} title="Lower rows" onClick={() => setDense(!isDense)}>
        Dense
      </Button>
      <span className={styles.lookSpace} />
      {children}
    </div>
  );
}
