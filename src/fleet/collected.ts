// What collectors answer about the past: for each copy of a record that has something to say about the time, how far it reaches and what
// it knows; names of the others. Times are microseconds since the epoch.

import { FleetError } from './fleet-error.js';
import { isRecorder } from './jc1.js';
import { isName, SHARDS } from './subjects.js';

/** A copy of the record of a host. */
export interface CollectedRecord {
  readonly host: string;
  readonly recorder: string;
  /** Number of the last record that it has, or knows to lack. */
  readonly applied: number;
  /** What ended in between is in it, but for gaps. */
  readonly from: number;
  readonly alive: number;
  /** Flows that lived at `alive`, which are not in it, began at this time or later; `null`: not known. */
  readonly openFrom: number | null;
  /** Whether nothing is lacking at the time of the question, but flows that lived on at `alive`. */
  readonly complete: boolean;
  /** As `conntrack whohad -o json` prints it; absent if nobody was found and nothing lacks. */
  readonly answer?: unknown;
}

/** The answer of a collector. */
export interface CollectedAnswer {
  readonly records: readonly CollectedRecord[];
}

/** Copies in one answer. */
const MOST_RECORDS = 20_000;

/** What a collector answered; `undefined` if that is no answer. */
export function readCollectedAnswer(told: unknown): CollectedAnswer | undefined {
  const { records } = (told ?? {}) as { readonly records?: unknown };
  if (!Array.isArray(records) || records.length > MOST_RECORDS) return undefined;
  const read = records.map(recordIn);
  return read.every((record) => record !== undefined) ? { records: read } : undefined;
}

function recordIn(told: unknown): CollectedRecord | undefined {
  const { host, recorder, applied, from, alive, openFrom, complete, answer } = (told ?? {}) as Readonly<
    Record<keyof CollectedRecord, unknown>
  >;
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!isName(host) || typeof recorder !== 'string' || !isRecorder(recorder)) return undefined;
  if (!isWhole(applied) || !isWhole(from) || !isWhole(alive) || typeof complete !== 'boolean') return undefined;
  if (openFrom !== null && !isWhole(openFrom)) return undefined;
  return { host, recorder, applied, from, alive, openFrom, complete, ...(answer === undefined ? {} : { answer }) };
}

/** Numbers of shards, such as `0-31,40`. @throws FleetError `CONFIG` */
export function parseShards(text: string): readonly number[] {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const [, from, to = from] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part) ?? [];
    if (from === undefined || Number(to) >= SHARDS || Number(from) > Number(to))
      throw new FleetError('CONFIG', `${JSON.stringify(text)} are no shards`, { hint: `such as 0-${SHARDS - 1}, or 0-31,40` });
    for (let shard = Number(from); shard <= Number(to); shard++) found.add(shard);
  }
  return [...found].sort((a, b) => a - b);
}

/** Shards as text: `0-31,40`. */
export function formatShards(shards: readonly number[]): string {
  const parts: string[] = [];
  for (let n = 0; n < shards.length; ) {
    let end = n;
    while (shards[end + 1] === shards[end]! + 1) end++;
    parts.push(end === n ? `${shards[n]}` : `${shards[n]}-${shards[end]}`);
    n = end + 1;
  }
  return parts.join(',');
}
