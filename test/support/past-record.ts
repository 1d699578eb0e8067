// Records to ask: a directory with segments, written as a recorder writes them, and random rows for it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { BlockFilter, hashOfLookup, INDEXES, type IndexRow } from '../../src/history/block-filter.js';
import type { SqliteDriver, SqliteFile, SqliteValue } from '../../src/history/driver/sqlite.js';
import { COLUMN, END_SHIFT, RECORD_COLUMNS } from '../../src/history/record-columns.js';
import { BLOCK_TABLE, OPEN_COLUMNS, SEALING_STATEMENTS, SEGMENT_TABLES } from '../../src/history/record-schema.js';
import { segmentName } from '../../src/history/segment-files.js';
import { type SegmentMeta, writeMeta } from '../../src/history/segment-meta.js';
import type { Random } from './random.js';
import { POOL } from './random-filter.js';

/** Values of columns, by name; what is left out is NULL. */
export type PastRow = Readonly<Partial<Record<keyof typeof COLUMN, SqliteValue>>>;
/** A flow that lives: with when it was seen last. */
export type OpenRow = PastRow & { readonly seen: number };

/** A gap. */
export interface PastGap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly ns?: number;
  readonly events?: number;
  /** Of a copy: the numbers of the records that lack. */
  readonly first?: number;
  readonly last?: number;
}

/** A segment to write. */
export interface PastSegment {
  readonly rows: readonly PastRow[];
  readonly open?: readonly OpenRow[];
  readonly gaps?: readonly PastGap[];
  readonly clock?: readonly { readonly at: number; readonly delta?: number; readonly class?: string }[];
  readonly namespaces?: Readonly<Record<number, string>>;
  readonly opened: number;
  readonly closed?: number;
  readonly alive?: number;
  readonly sealed?: boolean;
  readonly number?: number;
  readonly meta?: Partial<SegmentMeta>;
  /** The recorder ended by itself. */
  readonly ended?: boolean;
}

/** A moment of these tests: 2026-03-01T14:32:15Z, in microseconds. */
export const T0 = Date.UTC(2026, 2, 1, 14, 32, 15) * 1000;
export const SECOND = 1_000_000;

const nullRow = () => new Array<SqliteValue>(RECORD_COLUMNS.length).fill(null);
const places = (count: number) => new Array(count).fill('?').join(', ');

/** Writes segments into a directory; the last one stays open unless it is closed. @returns their names */
export function writeRecord(driver: SqliteDriver, directory: string, segments: readonly PastSegment[]): string[] {
  let sequence = 0;
  return segments.map((segment, place) => {
    const number = segment.number ?? place + 1;
    const name = segmentName(segment.opened, number);
    const file = driver.open(`${directory}/${name}`);
    for (const statement of SEGMENT_TABLES) file.exec(statement);
    file.exec('BEGIN');
    const firstSeq = sequence + 1;
    const insert = file.prepare(`INSERT INTO flow VALUES (${places(RECORD_COLUMNS.length + 1)})`);
    for (const row of segment.rows) {
      const values = nullRow();
      for (const [column, value] of Object.entries(row)) values[COLUMN[column as keyof typeof COLUMN]] = value;
      insert.run(++sequence, ...values);
    }
    const open = file.prepare(`INSERT INTO open VALUES (${places(OPEN_COLUMNS.length + 3)})`);
    for (const [n, row] of (segment.open ?? []).entries())
      open.run(n + 1, row.seen, null, ...OPEN_COLUMNS.map((column) => row[column as keyof PastRow] ?? null));
    const gap = file.prepare('INSERT INTO gap (ns, "from", "to", reason, events, first, last) VALUES (?, ?, ?, ?, ?, ?, ?)');
    for (const { ns, from, to, reason, events, first, last } of segment.gaps ?? [])
      gap.run(ns ?? null, from, to, reason, events ?? null, first ?? null, last ?? null);
    const clock = file.prepare('INSERT INTO clock (at, delta, class) VALUES (?, ?, ?)');
    for (const { at, delta, class: kind } of segment.clock ?? []) clock.run(at, delta ?? null, kind ?? null);
    const netns = file.prepare('INSERT INTO netns (number, name) VALUES (?, ?)');
    for (const [ns, name] of Object.entries(segment.namespaces ?? {})) netns.run(Number(ns), name);
    file
      .prepare('INSERT INTO session ("from", "to", boot) VALUES (?, ?, ?)')
      .run(segment.opened, segment.ended ? (segment.alive ?? segment.opened) : null, 'boot');
    const [bounds] = file.prepare('SELECT min(start - coalesce(sslack, 0)) AS a, max(start + dur) AS b FROM flow').all();
    const closed = segment.closed ?? (segment.sealed ? segment.opened : undefined);
    writeMeta(file, {
      recorder: '4d5a5a5e-0000-4000-8000-000000000001',
      number,
      host: 'router',
      boot: 'boot',
      version: '0',
      kernel: '6.1',
      firstSeq,
      opened: segment.opened,
      disorder: disorderOf(segment.rows),
      alive: segment.alive ?? closed ?? segment.opened,
      ...(closed === undefined
        ? {}
        : {
            closed,
            rows: segment.rows.length,
            minStart: (bounds!['a'] as number | null) ?? undefined,
            maxEnd: (bounds!['b'] as number | null) ?? undefined,
          }),
      ...(segment.sealed ? { sealed: closed } : {}),
      ...segment.meta,
    });
    file.exec('COMMIT');
    if (!segment.sealed) writeBlocks(file, segment.rows, firstSeq);
    if (segment.sealed) for (const statement of SEALING_STATEMENTS) file.exec(statement);
    file.close();
    return name;
  });
}

/** Filters for some of the rows, in blocks smaller than those of a recorder. */
function writeBlocks(file: SqliteFile, rows: readonly PastRow[], firstSeq: number): void {
  file.exec(BLOCK_TABLE);
  const insert = file.prepare('INSERT INTO block VALUES (?, ?, ?)');
  for (let from = 0; from < rows.length; from += 7) {
    if (from % 5 === 4) continue;
    const some = rows.slice(from, from + 7);
    const filter = new BlockFilter();
    for (const row of some)
      for (const [index, { address, port, only }] of (INDEXES as readonly IndexRow[]).entries()) {
        const values = [row[address], port === undefined ? 0 : row[port], row[only ?? address]];
        if (!values.includes(undefined)) filter.add(hashOfLookup(index, values[0]!, values[1] as number));
      }
    insert.run(firstSeq + from, firstSeq + from + some.length - 1, filter.bits);
  }
}

/** As `meta` has it: how much earlier a flow ended than one before it, at most. */
export function disorderOf(rows: readonly Readonly<Record<string, SqliteValue | undefined>>[]): number {
  let latest = Number.NEGATIVE_INFINITY;
  let disorder = 0;
  for (const { start, dur } of rows) {
    const end = Number(start) + Number(dur);
    disorder = Math.max(disorder, latest - end);
    latest = Math.max(latest, end);
  }
  return disorder;
}

/** A directory of its own, while the body runs. */
export async function inRecord<T>(body: (directory: string) => Promise<T> | T): Promise<T> {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-record-`);
  try {
    return await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An address as a column has it. */
export function columnOf(bytes: readonly number[]): SqliteValue {
  if (bytes.length === 16) return Uint8Array.from(bytes);
  return (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
}

/** The same, of an IPv4 address as text. */
export const ipv4 = (text: string) => columnOf(text.split('.').map(Number)) as number;

/** A TCP flow of a translated source, from T0 on, whose counters are not known. */
export const TRANSLATED_ROW = {
  start: T0,
  sslack: 0,
  eslack: 0,
  src: ipv4('100.64.3.7'),
  sport: 41002,
  dst: ipv4('198.51.100.7'),
  dport: 443,
  ext: ipv4('203.0.113.50'),
  eport: 32768,
  proto: 6,
  status: 0x19e,
  how: 0,
} as const satisfies PastRow;

/** What a connection has that was closed after some traffic. */
export const CLOSED_ROW = {
  state: 7,
  opk: 12,
  ob: 12_000,
  rpk: 200,
  rb: 240_000,
  end_reason: 5,
} as const satisfies PastRow;

const SEEN_REPLY = 2;
const SRC_NAT = 16 | 128;
const DST_NAT = 32 | 256;

/** A row such as a recorder writes, over few values, so that questions and flows meet. Times are around `at`. */
export function randomRow(random: Random, at: number, spread = 60 * SECOND): PastRow {
  const six = random.chance(0.3);
  const address = () => columnOf(random.pick<readonly number[]>(six ? POOL.v6 : POOL.v4));
  const proto = random.pick(six ? [6, 17, 58, 50] : [1, 6, 6, 17, 17, 33, 47, 50, 132, 136]);
  const hasPorts = proto !== 50;
  const icmp = proto === 1 || proto === 58;
  const port = () => random.pick(POOL.ports);
  const [src, dst] = [address(), address()];
  const sport = hasPorts ? port() : undefined;
  const dport = hasPorts ? (icmp ? (proto === 1 ? 8 : 128) * 256 : port()) : undefined;
  const snat = random.chance(0.5);
  const dnat = random.chance(0.3);
  const ext = snat ? address() : src;
  const eport = snat && hasPorts ? port() : sport;
  const rsrc = dnat ? address() : undefined;
  const rsport = dnat && hasPorts && !icmp ? port() : dport;
  // The kernel does not say so of a translation to the same.
  const isDnat = rsrc !== undefined && (!same(rsrc, dst) || (rsport !== dport && !icmp));
  const states = { 6: 10, 33: 9, 132: 8 }[proto];
  const start = at + random.below(2 * spread) - spread;
  const startKind = random.below(4);
  const endKind = random.below(5);
  const counted = random.chance(0.8);
  const counter = () => (random.chance(0.05) ? 2n ** 53n + 1n : random.pick([0, 1, 100, 1000, 1001, 2 ** 52]));
  const zone = random.chance(0.7) ? undefined : random.pick([1, 2, 7, 65535]) + 65536 * random.below(3);
  return {
    start,
    dur: random.chance(0.1) ? 0 : random.below(spread),
    sslack: random.chance(0.5) ? 0 : random.below(3 * SECOND),
    eslack: random.chance(0.5) ? 0 : random.below(10 * SECOND),
    src,
    dst,
    ext,
    proto,
    ...(sport === undefined ? {} : { sport, dport: dport!, eport: eport! }),
    ...(isDnat ? { rsrc: rsrc!, ...(hasPorts && !icmp ? { rsport: rsport! } : {}) } : {}),
    status: (random.chance(0.8) ? SEEN_REPLY : 0) | (snat ? SRC_NAT : 0) | (isDnat ? DST_NAT : 0) | random.pick([0, 4, 8]),
    ...(states === undefined || random.chance(0.1) ? {} : { state: random.below(states) }),
    ...(zone === undefined ? {} : { zone }),
    ...(random.chance(0.5) ? { mark: random.pick(POOL.marks.filter((mark) => mark !== 0)) } : {}),
    ...(counted ? { opk: counter(), ob: counter(), rpk: counter(), rb: counter() } : {}),
    ...(random.chance(0.3) ? { ns: 1 + random.below(2) } : {}),
    ...(random.chance(0.9) ? { end_reason: 1 + random.below(11) } : {}),
    how: startKind | (endKind << END_SHIFT) | (random.chance(0.05) ? 1 << (5 + random.below(4)) : 0),
    ...(random.chance(0.5) ? { ctid: random.pick([1, -1, 2_147_483_647, 600]) } : {}),
  };
}

function same(a: SqliteValue, b: SqliteValue): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? a.every((byte, i) => byte === b[i]) : a === b;
}

/** The same row as that of a flow that lives. */
export function asOpen({ dur, eslack, end_reason, opk, ob, rpk, rb, ...row }: PastRow): OpenRow {
  return { ...row, seen: (row.start as number) + (dur as number) };
}
