import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError } from "../../api/errors";
import { useKeys } from "../../app/keys";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { pageStyles } from "../../parts/Page";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import { Chart } from "./Chart";
import styles from "./Metrics.module.css";
import { evaluated } from "./prom";

/** The chart of an expression of PromQL. */
export function PromQl({ expression }: { expression: string }): ReactNode {
  const tenantId = useTenantId();
  const { startMs, endMs, refresh } = useRange();
  const setPlace = useSetPlace();
  const [draft, setDraft] = useState(expression);
  const line = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setDraft(expression), [expression]);
  useKeys([{ keys: "/", what: "Search", run: () => line.current?.focus() }]);
  const answer = useQuery({
    queryKey: ["metric", tenantId, "promql", startMs, endMs, expression],
    queryFn: ({ signal }) => evaluated(expression, startMs, endMs, signal),
    enabled: expression !== "",
    structuralSharing: false,
  });
  const run = (): void => {
    if (draft.trim() === expression) refresh();
    else if (draft.trim() !== "") setPlace({ promql: draft.trim(), view: undefined, open: undefined });
  };
  const isMistake = answer.error instanceof ApiError && answer.error.code === "promql" && draft.trim() === expression;
  return (
    <>
      <div className={styles.ask}>
        <div className={styles.expression}>
          <textarea
            ref={line}
            className={`${controls.input} ${styles.promql}`}
            rows={Math.min(6, draft.split("\n").length)}
            aria-label="PromQL"
            aria-invalid={isMistake}
            aria-describedby={isMistake ? "promql-mistake" : undefined}
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            placeholder="sum by (job) (rate(http_server_request_duration_seconds_count[5m]))"
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.shiftKey) {
                event.preventDefault();
                run();
              }
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
          <Button onClick={run} title="Evaluate (Enter); Shift-Enter makes a new line">
            Run
          </Button>
        </div>
        {isMistake ? (
          <p id="promql-mistake" className={styles.mistake} role="alert">
            {answer.error?.message}
          </p>
        ) : null}
      </div>
      <div className={pageStyles.scroll}>
        {expression === "" ? (
          <Empty title="An expression of PromQL">
            Metrics have their Prometheus names here: dots become underscores, and units and _total are added.
          </Empty>
        ) : answer.isPending ? (
          <Skeleton />
        ) : null}
        {answer.error && !isMistake && draft.trim() === expression ? (
          <div className={pageStyles.note}>
            <ErrorNote error={answer.error} retry={() => void answer.refetch()} />
          </div>
        ) : null}
        {answer.data && !isMistake ? (
          <Chart drawn={answer.data} isOld={answer.isPlaceholderData} label="PromQL" what="This expression" />
        ) : null}
      </div>
    </>
  );
}
