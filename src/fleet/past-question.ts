// Who had an address and port at a time: the question to a host that keeps a record, and its answer.

import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { openHistory, type WhoHadOptions } from '../history/index.js';
import { answerJson, answerText } from '../history/who-had-text.js';
import { FleetError } from './fleet-error.js';
import type { HostValue } from './inventory.js';

/** A question as it is sent: `at` is RFC 3339, other times are microseconds. */
export type PastQuestion = Pick<WhoHadOptions, 'address' | 'port' | 'protocol' | 'to' | 'zone' | 'netns' | 'follow'> & {
  readonly at: string;
  readonly within?: number | undefined;
};

/** What a host answers. */
export interface PastAnswer {
  /** Whether its record is complete for that time. */
  readonly complete: boolean;
  readonly matches: number;
  readonly ambiguous: boolean;
  /** The answer for people, without its first line. */
  readonly lines: readonly string[];
  /** As `conntrack whohad -o json` prints it. */
  readonly answer: unknown;
}

/** Microseconds that a clock may be off without being told. */
const CLOCK_TELLS = 100_000;

/** Microseconds by which a record is looked at before and after, because of its clock. `offset`, `error`: milliseconds. */
export function lookFurther({ offset, error }: Pick<NonNullable<HostValue['clock']>, 'offset' | 'error'>): number {
  const off = (Math.abs(offset) + error) * 1000;
  return off > CLOCK_TELLS ? off : 0;
}

/**
 * Asks the record of this host. By so much as its clock is off, it looks further: what only that finds is graded `near`.
 * @throws ValueError, HistoryError, PlatformError
 */
export async function askRecord(
  directory: string,
  question: PastQuestion,
  { clock, user }: { readonly clock: HostValue['clock']; readonly user: string },
): Promise<PastAnswer> {
  writeAsked(directory, ['whohad', question], user);
  const history = await openHistory(directory);
  const further = clock ? lookFurther(clock) : 0;
  const answer = await history.whoHad({ ...question, within: (question.within ?? 0) + further });
  const lines = answerText(answer).trimEnd().split('\n').slice(1);
  if (further > 0)
    lines.push(`Note: the clock of this host is off by ${(further / 1e6).toFixed(1)} s: it looked so much further.`);
  return {
    complete: answer.complete,
    matches: answer.matches.length + (answer.groups?.length ?? 0),
    ambiguous: answer.ambiguous,
    lines,
    answer: JSON.parse(answerJson(answer)),
  };
}

/**
 * Whoever reads a record is written down beside it, if the file for that exists (docs/history.md): here the user of the fleet, whose name
 * the servers vouch for. @throws FleetError `REQUEST` if that cannot be written: then nothing is answered
 */
export function writeAsked(directory: string, asked: readonly unknown[], user: string): void {
  const path = `${directory}/access.ndjson`;
  if (!statSync(path, { throwIfNoEntry: false })) return;
  const entry = { at: new Date().toISOString(), user: `fleet ${user}`, asked };
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
    try {
      writeSync(fd, `${JSON.stringify(entry)}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new FleetError('REQUEST', `the question cannot be written down: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws FleetError `REQUEST` for what is no question */
export function readPastQuestion(told: unknown): PastQuestion {
  const { address, port, at, within, protocol, to, zone, netns, follow } = (told ?? {}) as Readonly<
    Record<keyof PastQuestion, unknown>
  >;
  const isNumber = (value: unknown, most: number) =>
    value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most);
  const other = (to ?? {}) as { readonly address?: unknown; readonly port?: unknown };
  const fine =
    typeof address === 'string' &&
    typeof at === 'string' &&
    isNumber(port, 65_535) &&
    isNumber(within, 1e15) &&
    isNumber(protocol, 255) &&
    isNumber(zone, 65_535) &&
    (to === undefined || (typeof other.address === 'string' && isNumber(other.port, 65_535))) &&
    (netns === undefined || typeof netns === 'string') &&
    (follow === undefined || typeof follow === 'boolean');
  if (!fine) throw new FleetError('REQUEST', 'that is no question about the past');
  return {
    address,
    at,
    ...(port === undefined ? {} : { port: port as number }),
    ...(within === undefined ? {} : { within: within as number }),
    ...(protocol === undefined ? {} : { protocol: protocol as number }),
    ...(zone === undefined ? {} : { zone: zone as number }),
    ...(netns === undefined ? {} : { netns: netns as string }),
    ...(follow === undefined ? {} : { follow: follow as boolean }),
    ...(to === undefined
      ? {}
      : { to: { address: other.address as string, ...(other.port === undefined ? {} : { port: other.port as number }) } }),
  };
}

const MOST_LINES = 5000;

/** What a host answered; `undefined` if that is no answer. */
export function readPastAnswer(told: unknown): PastAnswer | undefined {
  const { complete, matches, ambiguous, lines, answer } = (told ?? {}) as Readonly<Record<keyof PastAnswer, unknown>>;
  if (typeof complete !== 'boolean' || typeof matches !== 'number' || !Array.isArray(lines)) return undefined;
  return {
    complete,
    matches,
    ambiguous: ambiguous === true,
    lines: lines.slice(0, MOST_LINES).filter((line): line is string => typeof line === 'string'),
    answer,
  };
}
