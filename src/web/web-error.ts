// WebError: a refusal with its HTTP status, and how errors of the library become answers.

import { ClosedError, ConntrackError, FilterError, isMissing, ValueError } from '../errors.js';
import { TooManyGroupingsError } from '../meter/index.js';

/** Statuses that the server answers with when something is wrong. */
export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 406 | 409 | 410 | 413 | 415 | 421 | 429 | 500 | 503;

/** An error with a stable code; `more` are further members of its JSON. */
export class WebError extends ConntrackError {
  readonly code: string;
  readonly status: ErrorStatus;
  readonly more: Readonly<Record<string, unknown>>;
  /** Seconds after which it is worth another try. */
  readonly retryAfter: number | undefined;

  constructor(
    status: ErrorStatus,
    code: string,
    message: string,
    options: { hint?: string; more?: Readonly<Record<string, unknown>>; retryAfter?: number } = {},
  ) {
    super(message, options.hint === undefined ? undefined : { hint: options.hint });
    this.status = status;
    this.code = code;
    this.more = options.more ?? {};
    this.retryAfter = options.retryAfter;
  }
}

/** What is told about an error. What nobody expects is told without its text: the log has it. */
export function toWebError(error: unknown): WebError {
  if (error instanceof WebError) return error;
  if (error instanceof FilterError) {
    const { message, hint, code: _, ...more } = error.toJSON();
    return new WebError(400, 'FILTER', message, {
      ...(hint === undefined ? {} : { hint }),
      more: { ...more, problem: error.problem },
    });
  }
  if (error instanceof TooManyGroupingsError)
    return new WebError(503, 'TOO_MANY_GROUPINGS', error.message, { hint: error.hint ?? '', retryAfter: 60 });
  if (error instanceof ValueError)
    return new WebError(400, 'VALUE', error.message, error.hint === undefined ? {} : { hint: error.hint });
  if (error instanceof ClosedError) return new WebError(503, 'ENDED', 'the table is no longer followed');
  if (isMissing(error)) return new WebError(404, 'NOT_FOUND', 'there is no such flow');
  return new WebError(500, 'INTERNAL', 'the server could not answer', { hint: 'its log says why' });
}

/** The JSON of an error. */
export function errorJson({ code, message, hint, more }: WebError): object {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }), ...more } };
}
