import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { ApiError } from "../../api/errors";
import { useKeys } from "../../app/keys";
import { useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button } from "../../parts/controls";
import controls from "../../parts/controls.module.css";
import { pageStyles } from "../../parts/Page";
import { type PromWriting, promCompleted, promWritingAt } from "../../parts/pure/promCompletion";
import { Offers } from "../../parts/query/Offers";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import { Chart } from "./Chart";
import styles from "./Metrics.module.css";
import { evaluated } from "./prom";
import { usePromCompletion } from "./usePromCompletion";

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
  const id = useId();
  const [writing, setWriting] = useState<PromWriting>();
  const [at, setAt] = useState(-1);
  const offers = usePromCompletion(writing);
  const isOpen = writing !== undefined && offers.length > 0;
  const look = (text: string, caret: number): void => {
    setWriting(promWritingAt(text, caret));
    setAt(-1);
  };
  const close = (): void => {
    setWriting(undefined);
    setAt(-1);
  };
  const choose = (value: string | undefined): void => {
    if (value === undefined || writing === undefined) return;
    const next = promCompleted(draft, writing, value);
    // The caret can only be put where the text is already.
    flushSync(() => setDraft(next.text));
    line.current?.focus();
    line.current?.setSelectionRange(next.caret, next.caret);
    look(next.text, next.caret);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.nativeEvent.isComposing) return;
    const { key } = event;
    if (key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (isOpen && at >= 0) choose(offers[at]?.value);
      else run();
    } else if (key === "Escape") {
      if (isOpen) close();
      else event.currentTarget.blur();
    } else if (key === "Tab" && isOpen && !event.shiftKey && (at >= 0 || writing.prefix !== "")) {
      event.preventDefault();
      choose(offers[Math.max(at, 0)]?.value);
    } else if (isOpen && (key === "ArrowDown" || key === "ArrowUp")) {
      event.preventDefault();
      const by = key === "ArrowDown" ? 1 : -1;
      setAt(((at + 1 + by + offers.length + 1) % (offers.length + 1)) - 1);
    }
  };
  const run = (): void => {
    close();
    if (draft.trim() === expression) refresh();
    else if (draft.trim() !== "") setPlace({ promql: draft.trim(), view: undefined, open: undefined });
  };
  const isMistake = answer.error instanceof ApiError && answer.error.code === "promql" && draft.trim() === expression;
  return (
    <>
      <div className={styles.ask}>
        <div className={styles.expression}>
          <div className={styles.written}>
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
              aria-autocomplete="list"
              aria-haspopup="listbox"
              aria-controls={isOpen ? id : undefined}
              aria-activedescendant={isOpen && at >= 0 ? `${id}${at}` : undefined}
              onChange={({ target }) => {
                setDraft(target.value);
                look(target.value, target.selectionStart);
              }}
              onKeyDown={onKeyDown}
              onBlur={close}
            />
            {isOpen ? (
              <Offers
                id={id}
                label="Completions"
                offers={offers}
                chosen={at}
                onChoose={(offer) => choose(offer.value)}
              />
            ) : null}
          </div>
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
