// Flows of a record as lines: text, JSON, CSV, and the line of a NAT log.

import { formatAddress } from '../ctnetlink/address.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { ORIGIN_OPEN, ORIGIN_PAST } from '../ctnetlink/view.js';
import { ByteWriter } from '../format/byte-writer.js';
import { writeFlowText } from '../format/flow-text.js';
import { type FormatOptions, NamespaceLabel, WallClock } from '../format/format-options.js';
import { safeJson } from '../safe-text.js';
import type { SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type FoundRow, type MakeOf, nameOf } from './flow-search.js';
import { formatMoment } from './moments.js';
import { PastFlowReader } from './past-flow.js';
import { END_REASONS } from './record-columns.js';
import { addressIn, numberIn } from './row-messages.js';

/** A flow as a line, with its newline; none for what the form leaves out. */
export interface PastLine {
  readonly end?: number | undefined;
  readonly line: string | undefined;
}

/** Forms of a line. */
export const PAST_LINES = ['text', 'ndjson', 'csv', 'nat-log'] as const;
export type PastLineFormat = (typeof PAST_LINES)[number];

/** Makes lines of rows. */
export function lineMaker(format: PastLineFormat): MakeOf<PastLine> {
  const lineOf = MAKERS[format]();
  return (found, view) => ({ end: found.open ? undefined : endOf(found.row), line: lineOf(found, view) });
}

const MAKERS: Readonly<Record<PastLineFormat, () => MakeOf<string | undefined>>> = {
  text: textMaker,
  ndjson: () => {
    const reader = new PastFlowReader();
    return (found, view) => `${safeJson(reader.read(found, view))}\n`;
  },
  csv: () => (found) => `${CSV.map(([, value]) => quoted(value(found))).join(',')}\r\n`,
  'nat-log': () => {
    const reader = new PastFlowReader();
    return (found, view) => {
      const { flow, start, end } = reader.read(found, view);
      const { original, reply, protocol, status } = flow;
      if (!status?.includes('SRC_NAT')) return undefined;
      const lasted = end === undefined ? '-' : `${Math.floor((end - start) / 1_000_000)} s`;
      const bytes =
        original.bytes === undefined && reply.bytes === undefined ? '-' : `${(original.bytes ?? 0n) + (reply.bytes ?? 0n)} bytes`;
      const sides = [
        [original.src, original.sport],
        [reply.dst, reply.dport],
        [original.dst, original.dport],
      ].map(([address, port]) => `${address}:${port}`);
      return `${formatMoment(start)} ${protocol} ${sides[0]} as ${sides[1]} to ${sides[2]} ${lasted} ${bytes}\n`;
    };
  },
};

/** The line of `-E -e DESTROY -o timestamp`, at the time of its end. */
function textMaker(): MakeOf<string> {
  const netns = new NamespaceLabel();
  const own: FormatOptions = {
    layer3: false,
    id: false,
    ktimestamp: false,
    timestamp: true,
    labels: undefined,
    full: false,
    event: true,
  };
  const named: FormatOptions = { ...own, netns };
  const clock = new WallClock();
  const decoder = new TextDecoder();
  let text = '';
  const out = new ByteWriter((bytes, length) => {
    text = decoder.decode(bytes.subarray(0, length));
  }, 4096);
  return ({ row, segment, open }, view) => {
    const at = open ? (numberIn(row['start']) ?? 0) : endOf(row);
    clock.set(Math.floor(at / 1000));
    clock.microseconds = at % 1_000_000;
    view.origin = open ? ORIGIN_OPEN : ORIGIN_PAST;
    const name = nameOf(segment, row);
    if (name !== undefined) netns.set(name);
    writeFlowText(out, view, name === undefined ? own : named, clock);
    out.flush();
    return text;
  };
}

function endOf(row: SqliteRow): number {
  return (numberIn(row['start']) ?? 0) + (numberIn(row['dur']) ?? 0);
}

type Cell = string | number | bigint | undefined;

const number =
  (name: string) =>
  ({ row }: FoundRow) =>
    numberIn(row[name]);
const address =
  (name: string) =>
  ({ row }: FoundRow) =>
    addressText(row[name]);
const counter =
  (name: string) =>
  ({ row }: FoundRow) =>
    cellOf(row[name]);

/** The columns of the view `flows`, in its order. */
const CSV: readonly (readonly [name: string, value: (found: FoundRow) => Cell])[] = [
  ['seq', number('seq')],
  ['start', ({ row }) => formatMoment(numberIn(row['start']) ?? 0)],
  ['end', ({ row, open }) => (open ? undefined : formatMoment(endOf(row)))],
  ['protocol', ({ row }) => PROTOCOLS.find((each) => each.number === row['proto'])?.name ?? numberIn(row['proto'])],
  ['src', address('src')],
  ['sport', number('sport')],
  ['dst', address('dst')],
  ['dport', number('dport')],
  ['outside', address('ext')],
  ['outside_port', number('eport')],
  ['responder', address('rsrc')],
  ['responder_port', number('rsport')],
  ['state', ({ row }) => TRACKERS.find(({ protonum }) => protonum === row['proto'])?.states[numberIn(row['state']) ?? -1]],
  ['mark', ({ row }) => numberIn(row['mark']) ?? 0],
  ['zone', ({ row }) => (numberIn(row['zone']) ?? 0) & 65_535],
  ['packets', counter('opk')],
  ['bytes', counter('ob')],
  ['reply_packets', counter('rpk')],
  ['reply_bytes', counter('rb')],
  ['end_reason', ({ row }) => END_REASONS[(numberIn(row['end_reason']) ?? 0) - 1]],
  ['netns', ({ row, segment }) => nameOf(segment, row)],
  ['how', number('how')],
];

/** The first line of CSV. */
export const CSV_HEADER = `${CSV.map(([name]) => name).join(',')}\r\n`;

function addressText(value: SqliteValue | undefined): string | undefined {
  const bytes = addressIn(value);
  return bytes && formatAddress(bytes);
}

function cellOf(value: SqliteValue | undefined): Cell {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string' ? value : undefined;
}

/** RFC 4180. A spreadsheet runs what begins like a formula: no value of ours does but a name of a namespace. */
function quoted(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell !== 'string') return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
