import type { Problem } from "./schema";
import { SAYS_MORE, WORDS } from "./words";

/** An answer of the API that is a problem, or no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  readonly retryAfterS: number | undefined;
  /** Where a query has its mistake, counted from 0; undefined if the problem names no place. */
  readonly position: number | undefined;

  constructor(problem: Partial<Problem>, status: number, retryAfter: string | null = null) {
    super(problem.detail ?? "duoscope did not answer.");
    this.status = status;
    this.code = problem.code ?? "no-answer";
    this.requestId = problem.request_id ?? "";
    const seconds = retryAfter === null ? Number.NaN : Number(retryAfter);
    this.retryAfterS = Number.isFinite(seconds) ? seconds : undefined;
    this.position = positionIn(this.message);
  }
}

/** The place that a sentence such as "Query, character 12: …" names, counted from 0. */
export function positionIn(sentence: string): number | undefined {
  const found = /^Query, character (\d+):/.exec(sentence);
  return found?.[1] === undefined ? undefined : Number(found[1]) - 1;
}

/** Makes an ApiError of whatever went wrong. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ detail: "duoscope does not answer. Is it running, and is there a connection to it?" }, 0);
}

/** What went wrong in words for whoever sits before the screen. */
export function inWords(error: ApiError): string {
  const known = Object.hasOwn(WORDS, error.code) ? WORDS[error.code] : undefined;
  const words =
    known !== undefined && SAYS_MORE.has(error.code) ? `${known} ${error.message}` : (known ?? error.message);
  return error.retryAfterS === undefined || error.status === 0
    ? words
    : `${words} Try again in ${error.retryAfterS < 90 ? `${error.retryAfterS} s` : `${Math.round(error.retryAfterS / 60)} min`}.`;
}
