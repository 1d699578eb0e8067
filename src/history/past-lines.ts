// Flows of a record as lines: text, JSON, CSV, and the line of a NAT log.

import { ORIGIN_OPEN, ORIGIN_PAST } from '../ctnetlink/view.js';
import { ByteWriter } from '../format/byte-writer.js';
import { writeFlowText } from '../format/flow-text.js';
import { type FormatOptions, NamespaceLabel, WallClock } from '../format/format-options.js';
import { safeJson } from '../safe-text.js';
import { type FoundRow, type MakeOf, nameOf } from './flow-search.js';
import { formatMoment } from './moments.js';
import { endOfRow, PAST_COLUMNS, type PastColumn } from './past-columns.js';
import { PastFlowReader } from './past-flow.js';
import { numberIn } from './row-messages.js';

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
  return (found, view) => ({ end: found.open ? undefined : endOfRow(found.row), line: lineOf(found, view) });
}

const MAKERS: Readonly<Record<PastLineFormat, () => MakeOf<string | undefined>>> = {
  text: textMaker,
  ndjson: () => {
    const reader = new PastFlowReader();
    return (found, view) => `${safeJson({ ...placeOf(found), ...reader.read(found, view()).toJSON() })}\n`;
  },
  csv: () => (found) => {
    let line = found.host ?? '';
    for (let n = 0; n < PAST_COLUMNS.length; n++) {
      if (n > 0 || line !== '') line += ',';
      line += textOf(PAST_COLUMNS[n]!, found);
    }
    return `${line}\r\n`;
  },
  'nat-log': () => {
    const reader = new PastFlowReader();
    return (found, view) => {
      const { flow, start, end } = reader.read(found, view());
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
      const host = found.host === undefined ? '' : `host=${found.host} `;
      return `${host}${formatMoment(start)} ${protocol} ${sides[0]} as ${sides[1]} to ${sides[2]} ${lasted} ${bytes}\n`;
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
  let labelled = '';
  return ({ row, segment, open, host }, viewOf) => {
    const view = viewOf();
    const at = open ? (numberIn(row['start']) ?? 0) : endOfRow(row);
    clock.set(Math.floor(at / 1000));
    clock.microseconds = at % 1_000_000;
    view.origin = open ? ORIGIN_OPEN : ORIGIN_PAST;
    const name = nameOf(segment, row);
    const isNamed = (name ?? host) !== undefined;
    if (isNamed && labelled !== `${host} ${name}`) {
      netns.set(name, host);
      labelled = `${host} ${name}`;
    }
    writeFlowText(out, view, isNamed ? named : own, clock);
    out.flush();
    return text;
  };
}

/** Whose flow it is, if it is of a fleet. */
function placeOf({ host, recorder }: FoundRow): object {
  return host === undefined ? {} : { host, recorder };
}

/** The first line of CSV. */
export const CSV_HEADER = `${PAST_COLUMNS.map(({ name }) => name).join(',')}\r\n`;

function textOf({ kind, cell, free }: PastColumn, found: FoundRow): string {
  const value = cell(found);
  if (value === undefined) return '';
  if (kind === 'moment') return formatMoment(Number(value));
  return free ? quoted(String(value)) : String(value);
}

/** RFC 4180. A spreadsheet runs what begins like a formula. */
function quoted(cell: string): string {
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
