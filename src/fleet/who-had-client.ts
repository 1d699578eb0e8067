// Asks a fleet who had an address and port at a time: the hosts themselves and the copies of collectors, each flow once.

import type { WhoHadOptions } from '../history/index.js';
import { formatMoment, parseSpan, readMoment, type Span } from '../history/moments.js';
import { type CollectedRecord, readCollectedAnswer } from './collected.js';
import type { Asked, AskOptions, Fleet } from './fleet.js';
import { meantHosts } from './past-client.js';
import { type HostPast, mergePast } from './past-merge.js';
import { type PastAnswer, type PastQuestion, readPastAnswer } from './past-question.js';

/** Milliseconds that hosts may look. */
export const WHO_HAD_DEADLINE = 30_000;

/** What is known, whom it was asked, and what is missing: hosts of which neither they nor collectors know all. */
export interface FleetPastAnswer extends Asked {
  /** In the order of names. */
  readonly hosts: ReadonlyMap<string, HostPast>;
  /** Hosts whose answer cannot be read. */
  readonly unreadable: readonly string[];
  /** Shards for which no collector answers, where that matters. */
  readonly lackingShards: readonly number[];
  /** What is wrong with collectors, in words. */
  readonly problems: readonly string[];
}

/** A question as every host is asked it: for the same time, whatever the words for it. @throws ValueError */
export function toPastQuestion({ at, within, ...question }: WhoHadOptions): AskedPast {
  const span = readMoment(at, Date.now);
  const moment = formatMoment(span.from);
  const whole = span.to - span.from > 1;
  return {
    span,
    past: {
      ...question,
      at: whole ? moment.replace('.000000', '') : moment,
      ...(within === undefined ? {} : { within: typeof within === 'string' ? parseSpan(within) : within }),
    },
  };
}

/** A question, and the time that it is about. */
export interface AskedPast {
  readonly past: PastQuestion;
  readonly span: Span;
}

/** @throws FleetError */
export async function askWhoHad(fleet: Fleet, { past, span }: AskedPast, options: AskOptions): Promise<FleetPastAnswer> {
  const answers = new Map<string, PastAnswer>();
  const unreadable: string[] = [];
  const visitor = {
    value: (host: string, value: unknown) => {
      const answer = readPastAnswer(value);
      if (answer) answers.set(host, answer);
      else unreadable.push(host);
    },
  };
  const [own, collected] = await Promise.all([
    fleet.ask('whohad', { past }, visitor, options),
    fleet.askCollectors({ op: 'whohad', body: { past }, read: readCollectedAnswer }, options),
  ]);
  const copies = new Map<string, CollectedRecord[]>();
  const isMeant = await meantHosts(fleet, options, own);
  for (const record of collected?.answers.flatMap(({ value }) => value.records) ?? [])
    if (isMeant(record.host)) copies.set(record.host, [...(copies.get(record.host) ?? []), record]);
  const hosts = new Map<string, HostPast>();
  for (const host of [...new Set([...answers.keys(), ...copies.keys()])].sort()) {
    const known = mergePast(answers.get(host), copies.get(host) ?? [], span);
    if (known) hosts.set(host, known);
    else unreadable.push(host);
  }
  // Of a host that does not answer, collectors may know all that it would say.
  const missing = own.missing.filter(({ host }) => !hosts.get(host)?.complete);
  return {
    ...own,
    hosts,
    unreadable,
    missing,
    complete:
      own.unlisted === undefined &&
      missing.length === 0 &&
      unreadable.length === 0 &&
      [...hosts.values()].every(({ complete }) => complete),
    lackingShards: missing.length > 0 ? (collected?.lacking ?? []) : [],
    problems: collected?.problems ?? [],
  };
}
