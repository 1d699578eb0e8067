// A row that was found → a match of `whoHad`: how sure it is that it lived then, who it was, and on what that rests.

import { prefixMask } from '../ctnetlink/address.js';
import type { FlowSide } from '../ctnetlink/flow.js';
import type { SqliteRow } from './driver/sqlite.js';
import type { FoundRow } from './flow-search.js';
import type { Span } from './moments.js';
import type { Network } from './networks.js';
import { type PastFlow, qualityOf } from './past-flow.js';
import { EXPIRY_DELAY } from './record-columns.js';
import type { ClockState, DirectoryState } from './record-directory.js';
import { addressIn, numberIn } from './row-messages.js';
import type { AddressAndPort, Grade, WhoHadMatch } from './who-had-answer.js';

/**
 * How sure it is that the flow of a row lived within the span; `undefined`: it did not.
 * @param step microseconds by which the clock was set near then, so that times may be off by as much
 */
export function gradeOf(found: FoundRow, span: Span, step: number, within: number): Grade | undefined {
  const { row, open, segment } = found;
  const number = (name: string) => numberIn(row[name]) ?? 0;
  const quality = qualityOf(found);
  const start = number('start');
  // Of a flow that lives, its end may not have been told yet.
  const end = open ? Number.POSITIVE_INFINITY : start + number('dur');
  const { alive, seenTo = 0 } = segment.meta;
  const surelyUntil = open ? Math.max(number('seen'), start < seenTo ? seenTo : 0, alive - EXPIRY_DELAY) : end - quality.endSlack;
  const perhapsFrom = quality.start === 'listed' ? Number.NEGATIVE_INFINITY : start - quality.startSlack;
  const meets = (from: number, to: number, margin: number) => from < span.to + margin && to >= span.from - margin;
  if (!quality.imported && meets(start, surelyUntil, 0)) return 'certain';
  if (meets(perhapsFrom, end, step)) return 'possible';
  return within > 0 && meets(perhapsFrom, end, within) ? 'near' : undefined;
}

/** Whether a row has the address as its outside source; else it was its destination. */
export function isSource(
  row: SqliteRow,
  { address, prefix = address.length * 8, port }: Network & { readonly port?: number | undefined },
): boolean {
  const ext = addressIn(row['ext']);
  if (ext?.length !== address.length || (port !== undefined && row['eport'] !== port)) return false;
  const mask = prefixMask(prefix, address.length);
  return ext.every((byte, i) => (byte & mask[i]!) === (address[i]! & mask[i]!));
}

/** @param step microseconds by which the clock was set near the time of the question */
export function matchOf(
  { row, segment, open }: FoundRow,
  past: PastFlow,
  grade: Grade,
  source: boolean,
  state: DirectoryState,
  step: number | undefined,
): WhoHadMatch {
  const { flow, start, end, endReason, netns, quality, sequence } = past;
  const { original, reply } = flow;
  const own = source ? original : reply;
  const other = source ? reply : original;
  const inside = endOf(own, 'src');
  const outside = endOf(other, 'dst');
  const clock = state.clock.findLast(({ at, quality: kept }: ClockState) => kept !== undefined && at <= (end ?? start))?.quality;
  return {
    grade,
    role: source ? 'source' : 'destination',
    inside,
    outside,
    remote: source ? (row['dst'] === null ? undefined : endOf(original, 'dst')) : endOf(original, 'src'),
    translated: inside.address !== outside.address || inside.port !== outside.port,
    protocol: flow.protocol,
    protonum: original.protonum,
    zone: flow.zone ?? original.zone ?? reply.zone,
    netns,
    start,
    end,
    open,
    endReason,
    sent: countersOf(own),
    received: countersOf(source ? reply : original),
    hops: [],
    quality: { ...quality, clock, ...(step === undefined ? {} : { clockStep: step }) },
    evidence: {
      recorder: state.recorder,
      segment: segment.file.name,
      sequence,
      sealed: segment.meta.sealed !== undefined,
    },
  };
}

/** An end of a direction; the identifier of ICMP is its port, at either end. */
export function endOf(side: FlowSide, end: 'src' | 'dst'): AddressAndPort {
  return { address: side[end], port: side.icmpId ?? (end === 'src' ? side.sport : side.dport) };
}

function countersOf({ packets, bytes }: FlowSide) {
  return packets === undefined && bytes === undefined ? undefined : { packets, bytes };
}
