// The columns of the view `flows`, as CSV and Parquet have them too: a row each.

import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import type { SqliteRow } from './driver/sqlite.js';
import { type FoundRow, nameOf } from './flow-search.js';
import { END_REASONS } from './record-columns.js';
import { addressText, numberIn } from './row-messages.js';

/**
 * What a cell holds. `moment`: microseconds since the epoch; `integer`: fits 32 bits with a sign; `wide`: may not; above 2^53 it is a
 * bigint, or its digits.
 */
export type PastCellKind = 'text' | 'moment' | 'integer' | 'wide';
/** What a cell holds; `undefined`: not known. */
export type PastCell = string | number | bigint | undefined;

/** A column. */
export interface PastColumn {
  readonly name: string;
  readonly kind: PastCellKind;
  readonly cell: (found: FoundRow) => PastCell;
  /** Anything may be in it: all other texts are words of ours, numbers and addresses. */
  readonly free?: true;
}

const text = (name: string, cell: PastColumn['cell']): PastColumn => ({ name, kind: 'text', cell });
const integer = (name: string, column: string): PastColumn => ({
  name,
  kind: 'integer',
  cell: ({ row }) => numberIn(row[column]),
});
const wide = (name: string, column: string): PastColumn => ({
  name,
  kind: 'wide',
  cell: ({ row }) => {
    const value = row[column];
    return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string' ? value : undefined;
  },
});
const address = (name: string, column: string) => text(name, ({ row }) => addressText(row[column]));

/** In the order of the view. */
export const PAST_COLUMNS: readonly PastColumn[] = [
  wide('seq', 'seq'),
  { name: 'start', kind: 'moment', cell: ({ row }) => numberIn(row['start']) ?? 0 },
  { name: 'end', kind: 'moment', cell: ({ row, open }) => (open ? undefined : endOfRow(row)) },
  text('protocol', ({ row }) => PROTOCOL_NAMES.get(numberIn(row['proto']) ?? 0) ?? String(row['proto'])),
  address('src', 'src'),
  integer('sport', 'sport'),
  address('dst', 'dst'),
  integer('dport', 'dport'),
  address('outside', 'ext'),
  integer('outside_port', 'eport'),
  address('responder', 'rsrc'),
  integer('responder_port', 'rsport'),
  text('state', ({ row }) => STATES.get(numberIn(row['proto']) ?? 0)?.[numberIn(row['state']) ?? -1]),
  { name: 'mark', kind: 'wide', cell: ({ row }) => numberIn(row['mark']) ?? 0 },
  { name: 'zone', kind: 'integer', cell: ({ row }) => (numberIn(row['zone']) ?? 0) & 65_535 },
  wide('packets', 'opk'),
  wide('bytes', 'ob'),
  wide('reply_packets', 'rpk'),
  wide('reply_bytes', 'rb'),
  text('end_reason', ({ row }) => END_REASONS[(numberIn(row['end_reason']) ?? 0) - 1]),
  { name: 'netns', kind: 'text', cell: ({ row, segment }) => nameOf(segment, row), free: true },
  integer('how', 'how'),
  wide('start_slack', 'sslack'),
  wide('end_slack', 'eslack'),
  wide('status', 'status'),
];

const STATES = new Map<number, readonly string[]>(TRACKERS.map(({ protonum, states }) => [protonum, states]));
const PROTOCOL_NAMES = new Map<number, string>(PROTOCOLS.map(({ number, name }) => [number, name]));

/** When the flow of a row ended. */
export function endOfRow(row: SqliteRow): number {
  return (numberIn(row['start']) ?? 0) + (numberIn(row['dur']) ?? 0);
}
