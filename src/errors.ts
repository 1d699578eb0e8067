// Every error class of the package. `code` is stable API, `message` is for people, `hint` says what to do, if known. Both are one line of
// safe text, whatever they quote.

import { safeText } from './safe-text.js';

/** Base of all errors this package throws. */
export abstract class ConntrackError extends Error {
  /** Stable identifier: an errno name such as `EPERM`, or a word of our own such as `DECODE`. */
  abstract readonly code: string;
  /** What the user can do about it, if known. */
  readonly hint: string | undefined;

  constructor(message: string, options?: ErrorOptions & { hint?: string | undefined }) {
    super(safeText(message), options);
    this.name = new.target.name;
    this.hint = options?.hint === undefined ? undefined : safeText(options.hint);
  }

  /** What `-o json` of the command prints: code, message, and the hint if there is one. */
  toJSON(): ErrorJson {
    return this.hint === undefined
      ? { code: this.code, message: this.message }
      : { code: this.code, message: this.message, hint: this.hint };
  }
}

/** An error in JSON. */
export interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** A libc call failed. `syscall` names it, `errno` is positive, `code` is the errno's name as in Node.js. */
export class SystemError extends ConntrackError {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, code: string, reason: string, options?: { hint?: string | undefined }) {
    super(`${syscall}: ${reason}`, options);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
  }
}

/**
 * The kernel refused a request (NLMSG_ERROR, or NLMSG_DONE with a result). `detail` is the kernel's own text and `offset` the place of
 * the attribute it means, from the start of the request; both only if the kernel sent an extended acknowledgement. Source: docs/kernel.md
 * 1.3, 1.6.
 */
export class KernelError extends ConntrackError {
  readonly code: string;
  readonly errno: number;
  /** Name of the request, such as `CT_GET`. */
  readonly request: string;
  readonly detail: string | undefined;
  readonly offset: number | undefined;
  readonly #reason: string;

  constructor(
    request: string,
    errno: number,
    code: string,
    reason: string,
    options?: { detail?: string | undefined; offset?: number | undefined; hint?: string | undefined; cause?: unknown },
  ) {
    super(`${request}: ${reason}${options?.detail ? ` (${options.detail})` : ''}`, options);
    this.#reason = reason;
    this.request = request;
    this.errno = errno;
    this.code = code;
    this.detail = options?.detail;
    this.offset = options?.offset;
  }

  /** The same refusal, with what to do about it. @internal */
  withHint(hint: string): KernelError {
    const { request, errno, code, detail, offset } = this;
    return new KernelError(request, errno, code, this.#reason, { detail, offset, hint, cause: this });
  }
}

/** Whether the kernel refused a request because what it names does not exist. For a new entry: its master. @internal */
export function isMissing(error: unknown): error is KernelError {
  return error instanceof KernelError && error.code === 'ENOENT';
}

/** There is no kernel to talk to: this is not Linux, or koffi has no binary for this processor, or it is not installed. */
export class PlatformError extends ConntrackError {
  readonly code = 'PLATFORM';
}

/** A netlink message is broken. `offset` is where, counted from the start of the bytes that were decoded. */
export class DecodeError extends ConntrackError {
  readonly code = 'DECODE';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.offset = offset;
  }
}

/** An expected answer of the kernel did not arrive: it did not understand the request, or the request was truncated. */
export class NoAnswerError extends ConntrackError {
  readonly code = 'NO_ANSWER';
}

/**
 * A network namespace cannot be found or entered. `code` is the errno's name: ENOENT, EPERM, EACCES, EINVAL (it is not a network
 * namespace).
 */
export class NamespaceError extends ConntrackError {
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions & { hint?: string | undefined }) {
    super(message, options);
    this.code = code;
  }
}

/** The object was used after `close()`. */
export class ClosedError extends ConntrackError {
  readonly code = 'CLOSED';
}

/** A value is invalid: an address, a number, a name. `code` is stable. */
export class ValueError extends ConntrackError {
  readonly code = 'VALUE';
}

/** Why a filter in text was refused. */
export type FilterReason =
  | 'EMPTY'
  | 'UNKNOWN_WORD'
  | 'MISSING_VALUE'
  | 'BAD_VALUE'
  | 'MIXED'
  | 'MISSING_AND'
  | 'ELIDED'
  | 'UNBALANCED'
  | 'NOT_KNOWN'
  | 'TOO_LONG'
  | 'TOO_DEEP'
  | 'TOO_MANY';

/** Where in a text something is. */
export interface TextPlace {
  /** UTF-16 units from its start. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** UTF-16 units. */
  readonly length: number;
}

/** A filter in text is wrong. `suggestion` is the whole text as it could have been meant, when that is known. */
export class FilterError extends ConntrackError implements TextPlace {
  readonly code = 'FILTER';
  readonly reason: FilterReason;
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly length: number;
  readonly suggestion: string | undefined;
  /** What is wrong, without the place. */
  readonly problem: string;

  constructor(
    reason: FilterReason,
    problem: string,
    place: TextPlace,
    options?: { hint?: string | undefined; suggestion?: string | undefined },
  ) {
    const { offset, line, column, length } = place;
    super(`filter: ${line > 1 ? `line ${line}, ` : ''}column ${column}: ${problem}`, options);
    this.reason = reason;
    this.problem = safeText(problem);
    this.offset = offset;
    this.line = line;
    this.column = column;
    this.length = length;
    this.suggestion = options?.suggestion;
  }

  override toJSON(): FilterErrorJson {
    const { reason, offset, line, column, length, suggestion } = this;
    return { ...super.toJSON(), reason, offset, line, column, length, ...(suggestion !== undefined && { suggestion }) };
  }
}

/** A `FilterError` in JSON. */
export interface FilterErrorJson extends ErrorJson, TextPlace {
  readonly reason: FilterReason;
  readonly suggestion?: string;
}
