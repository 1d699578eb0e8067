// Reports on standard error what went wrong, and returns the exit status: the same for commands and words.

import { ConntrackError } from '../errors.js';
import { fileReason } from './file-reason.js';
import { failureJson, failureLines } from './messages.js';
import { messageLine, OutputError, writeAll } from './output/output.js';
import { UsageError } from './usage-error.js';

const STDERR = 2;
/** What a shell reports for a program that SIGPIPE ended. */
const BROKEN_PIPE_STATUS = 141;

/** A message for people, and what to do about it. */
export interface Explanation {
  readonly message: string;
  readonly hint: string | undefined;
  readonly excerpt?: readonly string[] | undefined;
}

/**
 * Reports what went wrong, in one line and perhaps a hint; `explain` finds the words for an error of the library. @returns the exit
 * status
 */
export function report(error: unknown, json: boolean, explain: (error: ConntrackError) => Explanation): number {
  if (error instanceof OutputError && error.code === 'EPIPE') return BROKEN_PIPE_STATUS; // the reader has seen enough
  if (error instanceof UsageError) {
    tell(error.code, error, json);
    return error.exitStatus;
  }
  if (error instanceof ConntrackError) {
    tell(error.code, explain(error), json);
    return 1;
  }
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && errno !== undefined && syscall !== undefined) {
    // If the system refuses something to Node.js, that is not a defect.
    const message = `${syscall}${path === undefined ? '' : ` ${path}`}: ${fileReason(error)}`;
    tell(code, { message, hint: undefined }, json);
    return 1;
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = `internal error: ${detail}`;
  const hint = 'this is a defect of conntrack: please report it with the command line';
  if (json) tell('INTERNAL', { message, hint }, json);
  // A stack has several lines.
  else for (const line of failureLines(message, hint).flatMap((text) => text.split('\n'))) err(line);
  return 1;
}

/** One failure, as text or as a line of JSON. */
export function tell(code: string, { message, hint, excerpt }: Explanation, json: boolean): void {
  for (const line of json ? [failureJson(code, message, hint)] : failureLines(message, hint, excerpt)) err(line);
}

/** One line to standard error. */
export function err(line: string): void {
  const bytes = messageLine(line);
  try {
    writeAll(STDERR, bytes, bytes.length);
  } catch {
    // Standard error is gone, so there is nobody to tell.
  }
}
