import { useCallback, useEffect, useRef, useState } from "react";
import { answered, api } from "../../api/client";
import { ApiError, asApiError } from "../../api/errors";
import type { LogRecord, Problem } from "../../api/schema";
import { EventParser, TailBuffer, type TailLine } from "../../parts/pure/tail";

const KEPT_MAX = 10_000;
/** How often the page is drawn at most; records come by the hundreds. */
const DRAW_MS = 250;
const RETRY_MAX_MS = 15_000;
/** Refusals that another attempt does not change; after a session's end there may be a new one. */
const FINAL = new Set([400, 403, 404]);

const MORE = "More records arrived than can be shown; some are missing here.";
const AGAIN = "Connected again; records that arrived meanwhile may be missing here.";

export type TailState = "connecting" | "live" | "reconnecting" | "stopped";

export interface Tail {
  /** Oldest first, with notes where something is missing. */
  lines: readonly TailLine<LogRecord>[];
  state: TailState;
  error: unknown;
  isPaused: boolean;
  /** Records that wait because the tail is paused. */
  waiting: number;
  pause: () => void;
  resume: () => void;
}

interface Drawn {
  lines: readonly TailLine<LogRecord>[];
  isPaused: boolean;
  waiting: number;
}

/** The records that match a query, as they arrive. */
export function useTail(query: string): Tail {
  const buffer = useRef(new TailBuffer<LogRecord>(KEPT_MAX));
  const [drawn, setDrawn] = useState<Drawn>({ lines: [], isPaused: false, waiting: 0 });
  const [state, setState] = useState<TailState>("connecting");
  const [error, setError] = useState<unknown>();
  const draw = useCallback(() => {
    const { shown, isPaused, waiting } = buffer.current;
    setDrawn((was) =>
      was.lines === shown && was.isPaused === isPaused && was.waiting === waiting
        ? was
        : { lines: shown, isPaused, waiting },
    );
  }, []);

  useEffect(() => {
    const stop = new AbortController();
    buffer.current = new TailBuffer<LogRecord>(KEPT_MAX);
    setState("connecting");
    setError(undefined);
    draw();
    const timer = setInterval(draw, DRAW_MS);
    void follow(query, stop.signal, {
      onLines: (lines) => buffer.current.add(lines),
      onState: (now, problem) => {
        setState(now);
        setError(problem);
      },
    });
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [query, draw]);

  const pause = useCallback(() => {
    buffer.current.pause();
    draw();
  }, [draw]);
  const resume = useCallback(() => {
    buffer.current.resume();
    draw();
  }, [draw]);
  return { ...drawn, state, error, pause, resume };
}

interface Listener {
  onLines: (lines: readonly TailLine<LogRecord>[]) => void;
  onState: (state: TailState, error?: unknown) => void;
}

/** Reads streams one after the other, since each ends after a quarter of an hour, until the signal or a refusal. */
async function follow(query: string, signal: AbortSignal, { onLines, onState }: Listener): Promise<void> {
  let failures = 0;
  for (let connections = 0; !signal.aborted; ) {
    try {
      const options = { params: { query: { query } }, parseAs: "stream" as const, signal };
      const body = (await answered(api.GET("/api/v1/logs/tail", options))) as ReadableStream<Uint8Array>;
      if (connections > 0) onLines([{ note: AGAIN }]);
      connections += 1;
      failures = 0;
      onState("live");
      for await (const lines of linesOf(body)) onLines(lines);
    } catch (thrown) {
      if (signal.aborted) return;
      const problem = asApiError(thrown);
      if (FINAL.has(problem.status)) return onState("stopped", problem);
      failures += 1;
      onState("reconnecting", problem);
      const wait = (problem.retryAfterS ?? 2 ** failures / 2) * 1000;
      await passed(Math.min(wait, RETRY_MAX_MS), signal);
    }
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<TailLine<LogRecord>[]> {
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines: TailLine<LogRecord>[] = [];
    for (const { event, data } of parser.push(value)) {
      if (event === "log") lines.push({ record: JSON.parse(data) as LogRecord });
      if (event === "gap") lines.push({ note: MORE });
      // Whether this is final, the next attempt is told.
      if (event === "error") throw new ApiError(JSON.parse(data) as Partial<Problem>, 503);
    }
    yield lines;
  }
}

const passed = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
