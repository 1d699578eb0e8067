// Who is asked for which part of the past of a host, so that each record is asked for once, and whether together they have all of it.
// Collectors give what they have, which spares the hosts; a host is asked for what its copies lack: what was not shipped yet, what was
// lost on the way, and what lives.

import { formatMoment, type Span } from '../history/moments.js';
import { isWithin, type RecordRange, unite, without } from '../history/record-ranges.js';
import type { KnownGap, KnownRecord } from './known-record.js';

/** What to ask of a host, and what will be known of it. */
export interface HostPlan {
  /** The host is asked for records that are not in `except`. */
  readonly asks: boolean;
  readonly except: readonly RecordRange[];
  /** Why it is not complete. */
  readonly why: readonly string[];
}

/** `flows` lists those that live as well, `sums` are of flows that ended. */
export type PastKind = 'flows' | 'sums';

/** `own`: what the host says; absent if it does not answer. */
export function planHost(
  own: KnownRecord | undefined,
  copies: readonly KnownRecord[],
  span: Span | undefined,
  kind: PastKind,
): HostPlan {
  const gaps = gapsLeft(own, copies);
  const reaches = ({ to, openFrom }: KnownRecord, until: number) =>
    until <= to && (kind === 'sums' || (openFrom !== null && until <= openFrom));
  /** Without a beginning, what was recorded at all is meant. */
  const begin = span?.from || Number.POSITIVE_INFINITY;
  if (span && gaps.length === 0 && copies.some((copy) => copy.from <= begin && reaches(copy, span.to)))
    return { asks: false, except: [], why: [] };
  const why = gaps.map(gapText);
  if (!own) {
    const until = Math.max(0, ...copies.map(({ to }) => to));
    return { asks: false, except: [], why: [...why, `only what ended before ${formatMoment(until)} was shipped`] };
  }
  const from = Math.min(own.from, ...copies.filter(({ to }) => to >= own.from - SLACK).map((copy) => copy.from));
  if (from > begin) why.push(`the record begins at ${formatMoment(from)}`);
  if (!own.live && !(span && span.to <= own.to)) why.push(`nothing is recorded since ${formatMoment(own.to)}`);
  return { asks: true, except: knownElsewhere(own, copies), why };
}

/** Microseconds by which what several know may be apart without anything in between. */
const SLACK = 2_000_000;

/** Numbers of a host's record that copies have. Where its disk was put back, numbers were given twice: the last copy counts. */
function knownElsewhere(own: KnownRecord, copies: readonly KnownRecord[]): RecordRange[] {
  const same = copies.filter(({ recorder }) => baseOf(recorder) === own.recorder).sort((a, b) => timesOf(a) - timesOf(b));
  const known = same.flatMap(({ numbers }, n) => {
    const next = same[n + 1]?.numbers[0]?.[0] ?? Number.MAX_SAFE_INTEGER;
    return numbers.flatMap(([from, to]): RecordRange[] => (from < next ? [[from, Math.min(to, next - 1)]] : []));
  });
  return unite(known);
}

function baseOf(recorder: string): string {
  return recorder.split('.')[0]!;
}

function timesOf({ recorder }: KnownRecord): number {
  return Number(recorder.split('.')[1] ?? 1);
}

/** Gaps of a record that no other one fills. */
function gapsLeft(own: KnownRecord | undefined, copies: readonly KnownRecord[]): KnownGap[] {
  const all = own ? [own, ...copies] : copies;
  const left = new Map<string, KnownGap>();
  for (const { recorder, gaps } of all) {
    const numbers = unite(all.filter((each) => baseOf(each.recorder) === baseOf(recorder)).flatMap((each) => each.numbers));
    for (const gap of gaps) if (!isFilled(gap, numbers)) left.set(`${gap.from} ${gap.reason}`, gap);
  }
  return [...left.values()].sort((a, b) => a.from - b.from);
}

/** Records that were lost on the way, or with a file, may be elsewhere; events that were lost are nowhere. */
function isFilled({ lost, reason }: KnownGap, numbers: readonly RecordRange[]): boolean {
  if (lost) return without(lost, numbers).length === 0;
  return (reason === 'missing' || reason === 'damaged') && numbers.length === 1;
}

function gapText({ from, to, reason }: KnownGap): string {
  return `flows may be missing from ${formatMoment(from)}${to === Number.MAX_SAFE_INTEGER ? ' on' : ` to ${formatMoment(to)}`} (${reason})`;
}

/** Whether a copy that was planned with had a record: what came to it meanwhile is asked of the host. */
export function hadThen(copy: KnownRecord | undefined, sequence: number): boolean {
  return copy !== undefined && isWithin(sequence, copy.numbers);
}
