// The tables of a segment: a file of SQLite that stands alone.

import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { INDEXES, type IndexRow } from './block-filter.js';
import { type ColumnRow, END_REASONS, RECORD_COLUMNS } from './record-columns.js';

/** PRAGMA application_id: CTHF. */
export const APPLICATION_ID = 0x43544846;
/** PRAGMA user_version: readers take every version up to their own. */
export const SCHEMA_VERSION = 1;

const open = RECORD_COLUMNS.filter((row: ColumnRow) => row.open);

/** Names of the columns that open flows have, in their order. */
export const OPEN_COLUMNS: readonly string[] = open.map(({ name }) => name);

const integers = (names: readonly string[]) => names.map((name) => `${name} INTEGER`).join(', ');

const octet = (address: string, shift: number) => `(${address} >> ${shift}) & 255`;
/** The text of an address: IPv6 in full. */
const addressText = (of: string) =>
  `CASE typeof(${of}) WHEN 'integer' THEN printf('%d.%d.%d.%d', ${[24, 16, 8, 0].map((shift) => octet(of, shift)).join(', ')}) ` +
  `WHEN 'blob' THEN ${Array.from({ length: 8 }, (_, n) => `lower(hex(substr(${of}, ${2 * n + 1}, 2)))`).join(" || ':' || ")} END`;
const timeText = (of: string) =>
  `strftime('%Y-%m-%dT%H:%M:%S', (${of}) / 1000000, 'unixepoch') || printf('.%06dZ', (${of}) % 1000000)`;
const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
const words = (of: string, names: readonly (readonly [number, string])[]) =>
  `CASE ${of} ${names.map(([number, name]) => `WHEN ${number} THEN ${text(name)}`).join(' ')} END`;

const protocols = PROTOCOLS.map(({ number, name }) => [number, name] as const);
const states = TRACKERS.map(
  ({ protonum, states }) =>
    `WHEN ${protonum} THEN ${words(
      'state',
      states.map((name, number) => [number, name]),
    )}`,
);

/** What people read with any SQLite: `select * from flows`. IPv6 addresses are in full. */
const FLOWS_VIEW = `CREATE VIEW flows AS SELECT seq, ${timeText('start')} AS start, ${timeText('start + dur')} AS "end",
  coalesce(${words('proto', protocols)}, proto) AS protocol, ${addressText('src')} AS src, sport, ${addressText('dst')} AS dst, dport,
  ${addressText('ext')} AS outside, eport AS outside_port, ${addressText('rsrc')} AS responder, rsport AS responder_port,
  CASE proto ${states.join(' ')} END AS state, coalesce(mark, 0) AS mark, coalesce(zone, 0) & 65535 AS zone,
  opk AS packets, ob AS bytes, rpk AS reply_packets, rb AS reply_bytes,
  ${words(
    'end_reason',
    END_REASONS.map((name, place) => [place + 1, name]),
  )} AS end_reason, (SELECT name FROM netns WHERE number = flow.ns) AS netns, how,
  sslack AS start_slack, eslack AS end_slack, status FROM flow`;

/** Statements that make an empty segment. */
export const SEGMENT_TABLES: readonly string[] = [
  `PRAGMA application_id = ${APPLICATION_ID}`,
  `PRAGMA user_version = ${SCHEMA_VERSION}`,
  `CREATE TABLE flow (seq INTEGER PRIMARY KEY, ${integers(RECORD_COLUMNS.map(({ name }) => name))})`,
  // key: the recorder's number of the flow; seen: when it was known to be alive last; id: the kernel's identifier.
  `CREATE TABLE open (key INTEGER PRIMARY KEY, seen INTEGER, id INTEGER, ${integers(OPEN_COLUMNS)})`,
  'CREATE TABLE gap (id INTEGER PRIMARY KEY, ns INTEGER, "from" INTEGER, "to" INTEGER, first INTEGER, last INTEGER, reason TEXT, ' +
    'events INTEGER, note TEXT)',
  'CREATE TABLE clock (at INTEGER, before INTEGER, after INTEGER, delta INTEGER, class TEXT)',
  'CREATE TABLE session (id INTEGER PRIMARY KEY, "from" INTEGER, "to" INTEGER, boot TEXT, filter TEXT, sysctls TEXT, options TEXT)',
  'CREATE TABLE netns (number INTEGER PRIMARY KEY, name TEXT, inode INTEGER, first INTEGER)',
  'CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID',
  FLOWS_VIEW,
];

/** Filters of blocks of rows, by the numbers of their first and last one, while there are no indexes. */
export const BLOCK_TABLE = 'CREATE TABLE IF NOT EXISTS block (first INTEGER PRIMARY KEY, last INTEGER, filter BLOB)';
export const DROP_BLOCKS = 'DROP TABLE IF EXISTS block';

/** Columns that tables of sums have, of the original direction and of the reply. */
export const SUMMED_COLUMNS = ['opk', 'ob', 'rpk', 'rb'] as const;

const sums = (table: string, keys: string, more = '') =>
  `CREATE TABLE ${table} AS SELECT ${keys}, count(*) AS flows, ${SUMMED_COLUMNS.map((name) => `sum(${name}) AS ${name}`).join(', ')} ` +
  `FROM flow ${more}`;

/** What makes a row of `flow` one of a translated source. */
export const TRANSLATED = '(src IS NOT ext OR sport IS NOT eport)';
/** Where `dport` is no port: ICMP. */
export const HAS_SERVICE = 'dport IS NOT NULL AND proto NOT IN (1, 58)';

/** Tables with the sums of all flows of a sealed segment, by what they are grouped by. Segments of older versions have `talker` alone. */
export const SUM_TABLES = {
  talker: sums('talker', 'src', 'GROUP BY src'),
  outside: sums('outside', 'ext', `WHERE ${TRANSLATED} GROUP BY ext`),
  service: sums('service', `proto, CASE WHEN ${HAS_SERVICE} THEN dport END AS dport`, 'GROUP BY 1, 2'),
} as const;
/** A table with sums. */
export type SumTable = keyof typeof SUM_TABLES;

/** Statements that make a segment fast to search, when it is sealed. */
export const SEALING_STATEMENTS: readonly string[] = [
  DROP_BLOCKS,
  ...INDEXES.map(
    ({ name, address, port, only }: IndexRow) =>
      `CREATE INDEX ${name} ON flow (${port === undefined ? address : `${address}, ${port}`})${only === undefined ? '' : ` WHERE ${only} IS NOT NULL`}`,
  ),
  ...Object.values(SUM_TABLES),
  'DELETE FROM open',
];
