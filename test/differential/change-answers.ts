// The shape of a documented difference between commands that change the table, and the answers that commands can have.

import { type CommandLine, cNumber, lastValue, protocolWithOptions, values } from '../support/argv.js';
import type { Outcome } from '../support/outcome.js';
import type { Oracle } from '../support/twins.js';

/** The right answer. `shown`: the difference, or the list of them, was actually seen. */
export interface Answer {
  readonly outcome: Outcome;
  readonly shown: boolean | readonly string[];
}

export interface ChangeDifference {
  readonly id: string;
  readonly reason: string;
  readonly applies: (line: CommandLine, inFile: boolean) => boolean;
  /** The words that mean to the reference what these mean to us. */
  readonly rewrite?: (line: CommandLine) => readonly string[];
  /** The exit status with which these words are refused, whatever is in the table. */
  readonly refuses?: 1 | 2 | ((line: CommandLine) => 1 | 2 | undefined);
  /** Answers instead of the reference. */
  readonly answer?: (line: CommandLine, oracle: Oracle) => Promise<Answer>;
  /** How the answer is printed. */
  readonly print?: (line: CommandLine, outcome: Outcome) => Outcome;
  /** Requests sent before the example. */
  readonly setUp?: readonly Buffer[];
  /** Lines; the last shows the difference after the others have been run. With `\n`, the lines of a load file. */
  readonly example: readonly string[];
}

export const CLOSING = 'conntrack v1.4.7 (conntrack-tools): ';

/** Nothing on standard output, a message on standard error, the table as it was. */
export function refusal(status: 1 | 2): Outcome {
  return { status: String(status), stdout: '', stderr: 'conntrack: refused\n' };
}

/** This many entries were changed. */
export function done(count: number, what: string, stdout = ''): Outcome {
  return { status: count > 0 ? '0' : '1', stdout, stderr: `${CLOSING}${count} flow entries have been ${what}.\n` };
}

/** Exactly one command, one of these letters. */
export const is = (line: CommandLine, ...letters: string[]) => line.commands.length === 1 && letters.includes(line.commands[0]!);
/** Number of the protocol that `-p` names. */
export const protocolOf = (line: CommandLine) => {
  const text = lastValue(line, 'proto');
  return text === undefined ? undefined : (protocolWithOptions(text) ?? cNumber(text));
};
export const KEYS = ['srckey', 'dstkey', 'reply-key-src', 'reply-key-dst'];
/** Values of `-n` and `-g`. */
export const nats = (line: CommandLine) => [...values(line, 'src-nat'), ...values(line, 'dst-nat')];
