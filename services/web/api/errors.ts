import type { Mistake } from "../parts/pure/mistakes";
import type { Problem } from "./schema";
import { SAYS_MORE, WORDS } from "./words";

/** An answer of the API that is a problem, or no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  readonly retryAfterS: number | undefined;
  /** Where a query has its mistake; undefined if the problem names no place. */
  readonly mistake: Mistake | undefined;

  constructor(problem: Partial<Problem>, status: number, retryAfter: string | null = null) {
    super(problem.detail ?? "duoscope did not answer.");
    this.status = status;
    this.code = problem.code ?? "no-answer";
    this.requestId = problem.request_id ?? "";
    const seconds = retryAfter === null ? Number.NaN : Number(retryAfter);
    this.retryAfterS = Number.isFinite(seconds) ? seconds : undefined;
    const { position, length = 0, choices = [] } = problem;
    this.mistake = position === undefined ? undefined : { position, length, choices };
  }
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
