import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogRecord } from "../../api/schema";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Details } from "../../parts/lists/Details";
import { withTerm } from "../../parts/pure/terms";
import { ErrorNote, Skeleton } from "../../parts/states";
import { LogDetails, type LogTab, type PanelProps } from "./LogDetails";
import styles from "./Logs.module.css";

/** The record that the URL names, whether the list has it or not. */
export function RecordPanel({ find }: { find: (id: string) => LogRecord | undefined }): ReactNode {
  const { q = "", open } = usePlace();
  const { zone } = useRange();
  const setPlace = useSetPlace();
  const [tab, setTab] = useState<LogTab>("record");
  if (open === undefined) return null;
  const panel: PanelProps = {
    zone,
    tab,
    onTab: setTab,
    onOpen: (record) => setPlace({ open: record.id }, { replace: true }),
    onClose: () => setPlace({ open: undefined }, { replace: true }),
    onTerm: (added) => setPlace({ q: withTerm(q, added) }),
  };
  const listed = find(open);
  return listed ? <LogDetails record={listed} {...panel} /> : <FarRecord id={open} {...panel} />;
}

/** A record that a link names, and that is not among those listed. */
function FarRecord({ id, ...panel }: PanelProps & { id: string }): ReactNode {
  const tenantId = useTenantId();
  const one = useQuery({
    queryKey: ["log", tenantId, id],
    queryFn: ({ signal }) =>
      answered(api.GET("/api/v1/logs/{record_id}", { params: { path: { record_id: id } }, signal })),
  });
  if (one.data && !one.error) return <LogDetails record={one.data} {...panel} />;
  return (
    <Details label="Log record" title="Log record" onClose={panel.onClose}>
      {one.error ? (
        <div className={styles.panelNote}>
          <ErrorNote error={one.error} retry={() => void one.refetch()} />
        </div>
      ) : (
        <Skeleton />
      )}
    </Details>
  );
}
