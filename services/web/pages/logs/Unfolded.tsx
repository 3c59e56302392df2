import type { ReactNode } from "react";
import type { LogRecord } from "../../api/schema";
import { useSetPlace } from "../../app/place";
import { attributeFields, Fields, Text } from "../../parts/lists/Details";
import { withTerm } from "../../parts/pure/terms";
import styles from "./Logs.module.css";

const BODY_CHARS = 4_000;

/** What a record has besides its line, below that line: the list goes on around it. */
export function Unfolded({ record, query }: { record: LogRecord; query: string }): ReactNode {
  const setPlace = useSetPlace();
  const body = typeof record.body === "string" ? record.body : JSON.stringify(record.body, undefined, 2);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys in here are those of its buttons
    <div role="gridcell" className={styles.unfolded} onClick={(event) => event.stopPropagation()}>
      <Text>{(body ?? "").slice(0, BODY_CHARS)}</Text>
      <Fields
        onTerm={(added) => setPlace({ q: withTerm(query, added), open: undefined })}
        fields={[
          ...(record.trace_id ? [{ name: "trace_id", value: record.trace_id, field: "trace_id" }] : []),
          ...attributeFields(record.attributes),
          ...attributeFields(record.resource.attributes, "resource"),
        ]}
      />
    </div>
  );
}
