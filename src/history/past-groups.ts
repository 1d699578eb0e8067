// Sums over flows of the past: who had most. A flow counts where it ended.

import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { TimeSlice } from '../library/index.js';
import type { SqliteFile, SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type FlowQuestion, firstToLookAt, type SearchOptions, searchFlows } from './flow-search.js';
import type { Span } from './moments.js';
import { EXPIRY_DELAY } from './record-columns.js';
import { type ReadableSegment, type RecordDirectory, reading } from './record-directory.js';
import { type RecordRange, without } from './record-ranges.js';
import { HAS_SERVICE, SUMMED_COLUMNS, type SumTable, TRANSLATED } from './record-schema.js';
import { addressText, counterIn, numberIn } from './row-messages.js';

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

/** A sum: a number while it is safe, because most are, and a bigint takes ten times as long. */
type Sum = number | bigint | undefined;
/** What flows have in common as columns have it: a number, or the text of what is none. */
type RawKey = number | string;

/** Sums of a group on their way. */
interface GroupSum {
  flows: number;
  readonly sums: [opk: Sum, ob: Sum, rpk: Sum, rb: Sum];
}
/** Groups on their way. */
export type PastGroupSums = Map<RawKey, GroupSum>;

/** Columns that are a key together, the key of a row, and its text. */
interface GroupingRow {
  readonly columns: readonly string[];
  readonly where?: string;
  /** Where a sealed segment has the sums. */
  readonly table?: SumTable;
  /** Nearly every flow has a key of its own: rows are not grouped by SQLite first. */
  readonly many?: true;
  readonly key: (row: SqliteRow) => RawKey | undefined;
  readonly text: (key: RawKey) => string;
}

const addressKey = (column: string) => (row: SqliteRow) => {
  const value = row[column];
  return typeof value === 'number' ? value : addressText(value);
};
const textOfAddress = (key: RawKey) => addressText(key) ?? String(key);
const protocolText = (number: number) => PROTOCOLS.find((each) => each.number === number)?.name ?? String(number);
const SERVICE_PORTS = 65_536;

const GROUPINGS: Readonly<Record<PastGrouping, GroupingRow>> = {
  src: { columns: ['src'], table: 'talker', many: true, key: addressKey('src'), text: textOfAddress },
  dst: { columns: ['dst'], where: 'dst IS NOT NULL', many: true, key: addressKey('dst'), text: textOfAddress },
  snat: { columns: ['ext'], where: TRANSLATED, table: 'outside', key: addressKey('ext'), text: textOfAddress },
  service: {
    columns: ['proto', 'dport'],
    where: HAS_SERVICE,
    table: 'service',
    key: (row) =>
      row['dport'] === null ? undefined : (numberIn(row['proto']) ?? 0) * SERVICE_PORTS + (numberIn(row['dport']) ?? 0),
    text: (key) => `${protocolText(Math.floor(Number(key) / SERVICE_PORTS))}/${Number(key) % SERVICE_PORTS}`,
  },
  protocol: {
    columns: ['proto'],
    table: 'service',
    key: (row) => numberIn(row['proto']),
    text: (key) => protocolText(Number(key)),
  },
};

/** Above 2^53 a sum comes as text, which every driver has. */
const sumList = (of: (name: string) => string) =>
  SUMMED_COLUMNS.map((name) => of(name))
    .map(
      (sum, n) =>
        `CASE WHEN ${sum} > ${Number.MAX_SAFE_INTEGER} THEN CAST(${sum} AS TEXT) ELSE ${sum} END AS ${SUMMED_COLUMNS[n]}`,
    )
    .join(', ');

/** Rows that SQLite sums up at once, or reads sums of: some milliseconds. */
const WINDOW = 16_384;

/** Adds the flows of a directory to groups, by key. */
export async function addPastGroups(
  groups: PastGroupSums,
  directory: RecordDirectory,
  by: PastGrouping,
  question: Pick<FlowQuestion, 'filter' | 'span' | 'netns' | 'except'>,
  options: SearchOptions,
): Promise<void> {
  const grouping = GROUPINGS[by];
  const { table, key: keyOf } = grouping;
  const add = (row: SqliteRow) => {
    const key = keyOf(row);
    if (key !== undefined) addTo(groups, key, row);
  };
  const { filter, span, netns, except = [] } = question;
  if (filter || netns !== undefined) {
    const isIn = (row: SqliteRow) => {
      if (by === 'snat' && addressText(row['src']) === addressText(row['ext']) && row['sport'] === row['eport']) return false;
      if (by === 'service' && (row['dport'] === null || row['proto'] === 1 || row['proto'] === 58)) return false;
      const end = (numberIn(row['start']) ?? 0) + (numberIn(row['dur']) ?? 0);
      return !span || (end >= span.from && end < span.to);
    };
    const search = searchFlows(directory, { ...question, endedOnly: true }, ({ row }) => isIn(row) && add(row), options);
    for await (const _ of search);
    return;
  }
  const slice = new TimeSlice();
  const { segments, unreadable } = directory.state();
  for (const { file, reason } of unreadable) options.problem?.(file, reason);
  for (const segment of segments) {
    const { meta } = segment;
    // A segment that was opened so much after the beginning of a span has no end before it.
    if (span && ((meta.maxEnd ?? Infinity) < span.from || meta.opened - EXPIRY_DELAY >= span.to)) continue;
    const file = directory.openIfThere(segment);
    if (!file) continue;
    try {
      const whole = !span || (meta.opened - EXPIRY_DELAY >= span.from && (meta.maxEnd ?? Infinity) < span.to);
      const known =
        whole && table !== undefined && segment.meta.sealed !== undefined && segment.tables.has(table) && except.length === 0;
      for (const rows of known
        ? knownSums(segment, file, grouping.columns, table)
        : sums(segment, file, grouping, { span: whole ? undefined : span, except })) {
        for (const row of rows) add(row);
        await slice.pause();
        options.check?.();
      }
    } finally {
      file.close();
    }
  }
}

function addTo(groups: PastGroupSums, key: RawKey, row: SqliteRow): void {
  let group = groups.get(key);
  if (!group) {
    group = { flows: 0, sums: [undefined, undefined, undefined, undefined] };
    groups.set(key, group);
  }
  group.flows += (row['flows'] as number | undefined) ?? 1;
  for (let n = 0; n < SUMMED_COLUMNS.length; n++) {
    const value = row[SUMMED_COLUMNS[n]!];
    if (value !== null && value !== undefined) group.sums[n] = sumOf(group.sums[n], value);
  }
}

function sumOf(sum: Sum, value: SqliteValue): Sum {
  if (typeof value === 'number' && typeof sum !== 'bigint') {
    const total = (sum ?? 0) + value;
    if (Number.isSafeInteger(total)) return total;
  }
  return BigInt(sum ?? 0) + (counterIn(value) ?? 0n);
}

/** The sums that a sealed segment has. */
function* knownSums(
  segment: ReadableSegment,
  file: SqliteFile,
  columns: readonly string[],
  table: SumTable,
): Generator<readonly SqliteRow[]> {
  const statement = file.prepare(
    `SELECT rowid AS place, ${columns.join(', ')}, flows, ${sumList((name) => name)} FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${WINDOW}`,
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
  { columns, where, many }: GroupingRow,
  { span, except }: { readonly span: Span | undefined; readonly except: readonly RecordRange[] },
): Generator<readonly SqliteRow[]> {
  const bound = (sql: string) => numberIn(reading(segment.file, () => file.prepare(sql).all()[0]?.['seq']));
  const least = bound('SELECT min(seq) AS seq FROM flow');
  if (least === undefined) return;
  const greatest = bound('SELECT max(seq) AS seq FROM flow')!;
  const from = span ? firstToLookAt(segment, file, { least, greatest, end: span.from }) : least;
  const keys = columns.join(', ');
  const statement = file.prepare(
    `SELECT ${keys}, ${many ? sumList((name) => name) : `count(*) AS flows, ${sumList((name) => `sum(${name})`)}`} FROM flow NOT INDEXED ` +
      `WHERE seq BETWEEN ? AND ?${where ? ` AND ${where}` : ''}${span ? ' AND start + dur >= ? AND start + dur < ?' : ''}` +
      (many ? '' : ` GROUP BY ${keys}`),
  );
  for (const [first, last] of without([from, greatest], except))
    for (let at = first; at <= last; at += WINDOW)
      yield reading(segment.file, () =>
        statement.all(at, Math.min(last, at + WINDOW - 1), ...(span ? [span.from, span.to] : [])),
      );
}

/** The largest groups. */
export function largestGroups(
  groups: PastGroupSums,
  by: PastGrouping,
  { sort, reverse, limit }: { readonly sort: PastGroupSort; readonly reverse: boolean; readonly limit: number },
): readonly PastGroup[] {
  const place = { packets: 0, bytes: 1, flows: undefined }[sort];
  const amount = ({ flows, sums }: GroupSum): number => {
    if (place === undefined) return flows;
    const [own, reply] = [sums[place], sums[place + 2]];
    return own === undefined && reply === undefined ? -1 : Number(own ?? 0) + Number(reply ?? 0);
  };
  const order = [...groups].map(([key, group]) => ({ key, group, amount: amount(group) }));
  order.sort((a, b) => (a.amount === b.amount ? (a.key < b.key ? -1 : 1) : a.amount > b.amount !== reverse ? -1 : 1));
  const wide = (sum: Sum) => (sum === undefined ? undefined : BigInt(sum));
  return order.slice(0, limit).map(({ key, group: { flows, sums } }) => ({
    key: GROUPINGS[by].text(key),
    flows,
    packets: wide(sums[0]),
    bytes: wide(sums[1]),
    replyPackets: wide(sums[2]),
    replyBytes: wide(sums[3]),
  }));
}
