// Sums over flows of the past: who had most. A flow counts where it ended.

import { formatAddress } from '../ctnetlink/address.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { TimeSlice } from '../library/index.js';
import type { SqliteFile, SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type SearchOptions, searchFlows } from './flow-search.js';
import type { Span } from './moments.js';
import { type ReadableSegment, type RecordDirectory, reading } from './record-directory.js';
import { addressIn, counterIn, numberIn } from './row-messages.js';

/** What flows are grouped by. `snat`: the address as which the other side saw a translated source. */
export const PAST_GROUPINGS = ['src', 'dst', 'snat', 'service', 'protocol'] as const;
/** What flows of the past are grouped by. */
export type PastGrouping = (typeof PAST_GROUPINGS)[number];
/** What groups are ordered by, the largest first. */
export const PAST_GROUP_SORTS = ['bytes', 'flows', 'packets'] as const;
/** What groups of flows of the past are ordered by. */
export type PastGroupSort = (typeof PAST_GROUP_SORTS)[number];

/** Flows of the past that have something in common. */
export interface PastGroup {
  /** An address, a protocol, or a service such as `tcp/443`. */
  readonly key: string;
  readonly flows: number;
  /** Of the original direction and of the reply. Absent where none of the flows were counted. */
  readonly packets?: bigint | undefined;
  readonly bytes?: bigint | undefined;
  readonly replyPackets?: bigint | undefined;
  readonly replyBytes?: bigint | undefined;
}

type MutableGroup = { -readonly [K in keyof PastGroup]: PastGroup[K] };

/** Columns that are a key together, and the text of the key; `undefined`: the flow is in no group. */
interface GroupingRow {
  readonly columns: readonly string[];
  readonly where?: string;
  readonly text: (row: SqliteRow) => string | undefined;
}

const addressText = (value: SqliteValue | undefined) => {
  const bytes = addressIn(value);
  return bytes && formatAddress(bytes);
};
const protocolText = (row: SqliteRow) =>
  PROTOCOLS.find(({ number }) => number === row['proto'])?.name ?? String(numberIn(row['proto']) ?? 0);

const GROUPINGS: Readonly<Record<PastGrouping, GroupingRow>> = {
  src: { columns: ['src'], text: (row) => addressText(row['src']) },
  dst: { columns: ['dst'], where: 'dst IS NOT NULL', text: (row) => addressText(row['dst']) },
  snat: { columns: ['ext'], where: '(src IS NOT ext OR sport IS NOT eport)', text: (row) => addressText(row['ext']) },
  service: {
    columns: ['proto', 'dport'],
    where: 'dport IS NOT NULL AND proto NOT IN (1, 58)',
    text: (row) => `${protocolText(row)}/${numberIn(row['dport'])}`,
  },
  protocol: { columns: ['proto'], text: protocolText },
};

const SUMS = ['opk', 'ob', 'rpk', 'rb'] as const;
const MEMBERS = ['packets', 'bytes', 'replyPackets', 'replyBytes'] as const satisfies readonly (keyof PastGroup)[];
const sumList = (of: (name: string) => string) => SUMS.map((name) => `CAST(${of(name)} AS TEXT) AS ${name}`).join(', ');

/** Rows that SQLite sums up at once, or reads sums of: some milliseconds. */
const WINDOW = 16_384;
/**
 * The end of a flow may be so much older than its record: a segment that was opened so much after the beginning of a span has no end
 * before it. Microseconds.
 */
const LATE = 120_000_000;

/** Adds the flows of a directory to groups, by key. */
export async function addPastGroups(
  groups: Map<string, MutableGroup>,
  directory: RecordDirectory,
  by: PastGrouping,
  question: { readonly filter?: FlowFilter | undefined; readonly span?: Span | undefined },
  options: SearchOptions,
): Promise<void> {
  const { columns, where, text } = GROUPINGS[by];
  const add = (row: SqliteRow) => {
    const key = text(row);
    if (key !== undefined)
      addTo(
        groups,
        key,
        numberIn(row['flows']) ?? 1,
        SUMS.map((name) => counterIn(row[name])),
      );
  };
  const { filter, span } = question;
  if (filter) {
    const isIn = (row: SqliteRow) => {
      if (by === 'snat' && row['src'] === row['ext'] && row['sport'] === row['eport']) return false;
      if (by === 'service' && (row['dport'] === null || row['proto'] === 1 || row['proto'] === 58)) return false;
      const end = (numberIn(row['start']) ?? 0) + (numberIn(row['dur']) ?? 0);
      return !span || (end >= span.from && end < span.to);
    };
    const search = searchFlows(directory, { filter, span, endedOnly: true }, ({ row }) => isIn(row) && add(row), options);
    for await (const _ of search);
    return;
  }
  const slice = new TimeSlice();
  const { segments, unreadable } = directory.state();
  for (const { file, reason } of unreadable) options.problem?.(file, reason);
  for (const segment of segments) {
    const { meta } = segment;
    if (span && ((meta.maxEnd ?? Infinity) < span.from || meta.opened - LATE >= span.to)) continue;
    const file = directory.openIfThere(segment);
    if (!file) continue;
    try {
      const whole = !span || (meta.opened - LATE >= span.from && (meta.maxEnd ?? Infinity) < span.to);
      const useSums = by === 'src' && whole && segment.meta.sealed !== undefined;
      for (const rows of useSums ? talkers(segment, file) : sums(segment, file, columns, where, whole ? undefined : span)) {
        for (const row of rows) add(row);
        await slice.pause();
      }
    } finally {
      file.close();
    }
  }
}

function addTo(groups: Map<string, MutableGroup>, key: string, flows: number, sums: readonly (bigint | undefined)[]): void {
  let group = groups.get(key);
  if (!group) {
    group = { key, flows: 0, packets: undefined, bytes: undefined, replyPackets: undefined, replyBytes: undefined };
    groups.set(key, group);
  }
  group.flows += flows;
  for (const [n, member] of MEMBERS.entries()) if (sums[n] !== undefined) group[member] = (group[member] ?? 0n) + sums[n];
}

/** The sums that a sealed segment has of each source. */
function* talkers(segment: ReadableSegment, file: SqliteFile): Generator<readonly SqliteRow[]> {
  const statement = file.prepare(
    `SELECT rowid AS place, src, flows, ${sumList((name) => name)} FROM talker WHERE rowid > ? ORDER BY rowid LIMIT ${WINDOW}`,
  );
  for (let place = 0; ; ) {
    const rows = reading(segment.file, () => statement.all(place));
    yield rows;
    if (rows.length < WINDOW) return;
    place = rows.at(-1)!['place'] as number;
  }
}

/** Sums of the rows of a segment, by ranges of numbers. */
function* sums(
  segment: ReadableSegment,
  file: SqliteFile,
  columns: readonly string[],
  where: string | undefined,
  span: Span | undefined,
): Generator<readonly SqliteRow[]> {
  const bound = (sql: string) => numberIn(reading(segment.file, () => file.prepare(sql).all()[0]?.['seq']));
  const least = bound('SELECT min(seq) AS seq FROM flow');
  if (least === undefined) return;
  const greatest = bound('SELECT max(seq) AS seq FROM flow')!;
  const keys = columns.join(', ');
  const statement = file.prepare(
    `SELECT ${keys}, count(*) AS flows, ${sumList((name) => `sum(${name})`)} FROM flow NOT INDEXED ` +
      `WHERE seq BETWEEN ? AND ?${where ? ` AND ${where}` : ''}${span ? ' AND start + dur >= ? AND start + dur < ?' : ''} GROUP BY ${keys}`,
  );
  for (let from = least; from <= greatest; from += WINDOW)
    yield reading(segment.file, () => statement.all(from, from + WINDOW - 1, ...(span ? [span.from, span.to] : [])));
}

/** The largest groups. */
export function largestGroups(
  groups: ReadonlyMap<string, PastGroup>,
  { sort, reverse, limit }: { readonly sort: PastGroupSort; readonly reverse: boolean; readonly limit: number },
): readonly PastGroup[] {
  const of = ({ flows, packets, bytes, replyPackets, replyBytes }: PastGroup) =>
    sort === 'flows'
      ? BigInt(flows)
      : sort === 'bytes'
        ? bytes === undefined && replyBytes === undefined
          ? -1n
          : (bytes ?? 0n) + (replyBytes ?? 0n)
        : packets === undefined && replyPackets === undefined
          ? -1n
          : (packets ?? 0n) + (replyPackets ?? 0n);
  const order = [...groups.values()].map((group) => ({ group, value: of(group) }));
  order.sort((a, b) => (a.value === b.value ? (a.group.key < b.group.key ? -1 : 1) : a.value > b.value !== reverse ? -1 : 1));
  return order.slice(0, limit).map(({ group }) => group);
}
