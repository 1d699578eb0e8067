// What a host or a collector says that it has of a record, so that who asks can ask each for what the others lack. Times are microseconds
// since the epoch.

import type { Span } from '../history/moments.js';
import { type DirectoryState, numbersOf, type RecordGap } from '../history/record-directory.js';
import type { RecordRange } from '../history/record-ranges.js';
import { isRecorder } from './jc1.js';
import { isName } from './subjects.js';

/** A span in which flows may be missing. */
export interface KnownGap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  /** Numbers of the records that are missing, if that is known. */
  readonly lost?: RecordRange | undefined;
}

/** A record, or a copy of one. */
export interface KnownRecord {
  readonly host: string;
  readonly recorder: string;
  /** What ended in between is in it, but for gaps. */
  readonly from: number;
  readonly to: number;
  /** Its recorder runs: it has what lives, and is complete up to now. */
  readonly live: boolean;
  /** Of a copy, in which nothing lives: flows that lived at `to` began at this time or later; `null`: not known. */
  readonly openFrom: number | null;
  /** Numbers that it has. */
  readonly numbers: readonly RecordRange[];
  /** Those that meet the span of the question, and in which flows may be missing. */
  readonly gaps: readonly KnownGap[];
}

/** Ranges and gaps of one record: of more, the rest counts as one. */
const MOST_RANGES = 64;
const MOST_GAPS = 100;
const MOST_RECORDS = 20_000;

/** What a directory has of a span; `undefined`: ever. */
export function knownRecord(
  { host, recorder, openFrom = null }: Pick<KnownRecord, 'host' | 'recorder'> & { readonly openFrom?: number | null | undefined },
  state: DirectoryState & { readonly live: boolean },
  span: Span | undefined,
): KnownRecord {
  const gaps = state.gaps.filter(({ from, to, incomplete }) => incomplete && (!span || (from < span.to && to >= span.from)));
  return {
    host,
    recorder,
    from: state.from,
    to: state.to,
    live: state.live,
    openFrom,
    numbers: atMost(numbersOf(state)),
    gaps: gapsAtMost(gaps.map(toKnown)),
  };
}

function toKnown({ from, to, reason, lost }: RecordGap): KnownGap {
  return { from: whole(from), to: whole(to), reason, ...(lost ? { lost } : {}) };
}

function whole(moment: number): number {
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Math.trunc(moment)));
}

/** Small holes between ranges are not told: whoever has those records is not asked for them, and the gap says that they are missing. */
function atMost(ranges: readonly RecordRange[]): readonly RecordRange[] {
  const [first, ...rest] = ranges.slice(-MOST_RANGES);
  return ranges.length <= MOST_RANGES ? ranges : [[ranges[0]![0], first![1]], ...rest];
}

function gapsAtMost(gaps: readonly KnownGap[]): readonly KnownGap[] {
  if (gaps.length <= MOST_GAPS) return gaps;
  const rest = gaps.slice(MOST_GAPS - 1);
  const more = {
    from: Math.min(...rest.map(({ from }) => from)),
    to: Math.max(...rest.map(({ to }) => to)),
    reason: `${rest.length} more`,
  };
  return [...gaps.slice(0, MOST_GAPS - 1), more];
}

/** What a host or a collector answered; `undefined` if that is no answer. */
export function readKnownRecords(told: unknown): readonly KnownRecord[] | undefined {
  const { records } = (told ?? {}) as { readonly records?: unknown };
  if (!Array.isArray(records) || records.length > MOST_RECORDS) return undefined;
  const read = records.map(recordIn);
  return read.every((record) => record !== undefined) ? read : undefined;
}

function recordIn(told: unknown): KnownRecord | undefined {
  const { host, recorder, from, to, live, openFrom, numbers, gaps } = (told ?? {}) as Readonly<
    Record<keyof KnownRecord, unknown>
  >;
  if (!isName(host) || typeof recorder !== 'string' || !isRecorder(recorder)) return undefined;
  if (!isWhole(from) || !isWhole(to) || typeof live !== 'boolean' || (openFrom !== null && !isWhole(openFrom))) return undefined;
  if (!Array.isArray(numbers) || numbers.length > MOST_RANGES || !numbers.every(isRange)) return undefined;
  if (!Array.isArray(gaps) || gaps.length > MOST_GAPS) return undefined;
  const read = gaps.map(gapIn);
  if (!read.every((gap) => gap !== undefined)) return undefined;
  return { host, recorder, from, to, live, openFrom, numbers, gaps: read };
}

function gapIn(told: unknown): KnownGap | undefined {
  const { from, to, reason, lost } = (told ?? {}) as Readonly<Record<keyof KnownGap, unknown>>;
  if (!isWhole(from) || !isWhole(to) || typeof reason !== 'string' || reason.length > 100) return undefined;
  if (lost !== undefined && !isRange(lost)) return undefined;
  return { from, to, reason, ...(lost ? { lost } : {}) };
}

/** Whether that is a range of numbers. */
export function isRange(told: unknown): told is RecordRange {
  if (!Array.isArray(told) || told.length !== 2) return false;
  const [from, to] = told as unknown[];
  return isWhole(from) && isWhole(to) && from <= to;
}

function isWhole(told: unknown): told is number {
  return Number.isSafeInteger(told) && (told as number) >= 0;
}
