// The error for a command line that cannot be run, and the quoting of user text in it.

import { ConntrackError } from '../errors.js';
import { safeText } from '../safe-text.js';

/** What the command exits with: 2 for a wrong command line, 1 for the few wrong values of docs/behaviour.md 2.4. */
export type UsageStatus = 1 | 2;

/**
 * The command line is wrong. The message is one line that names the option, and the command where it matters; the hint says where to read
 * on.
 */
export class UsageError extends ConntrackError {
  readonly code = 'USAGE';
  readonly exitStatus: UsageStatus;
  /** A line of what was given, and one with a mark below the place that is wrong. */
  readonly excerpt: readonly [string, string] | undefined;
  /** A word that stands in a wrong place, where it may be a filter that lacks its option. */
  perhapsFilter: { readonly command: string; readonly text: string } | undefined;
  /** How many words had been read when the mistake was noticed; set by the parser. */
  word: number | undefined;
  /** Its column in the line, from 1, if that is known without the words. */
  column: number | undefined;

  constructor(
    message: string,
    options?: {
      exitStatus?: UsageStatus | undefined;
      hint?: string | undefined;
      excerpt?: readonly [string, string] | undefined;
    },
  ) {
    super(message, options?.hint === undefined ? undefined : { hint: options.hint });
    this.exitStatus = options?.exitStatus ?? 2;
    this.excerpt = options?.excerpt;
  }
}

const LONGEST_QUOTE = 80;

/** User text between apostrophes, safe for a terminal and a log, cut when very long. */
export function quoted(text: string): string {
  return `'${safeText(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}...` : text)}'`;
}
