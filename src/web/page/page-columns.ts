// The columns of the flows, a row each.

import { age, bytes, type Measured, rate, shortCount } from '../../units.js';
import { bytesOf, type Halves, halves, hasStatus, protocolOf, stateOf, translation } from './flow-parts.js';
import type { PageFlow, PageRates } from './shapes.js';

export interface PageColumnRow {
  readonly name: string;
  readonly title: string;
  /** For those who hear it, where signs do not say it. */
  readonly spoken?: string;
  readonly sort?: string;
  /** Names and addresses begin with the first, amounts with the largest. */
  readonly ascending?: true;
  /** Pixels that it needs; `grow`: it takes a share of what is left. */
  readonly least: number;
  readonly grow?: number;
  readonly right?: true;
  /** The highest goes first where there is not enough room. 0: never. */
  readonly priority: number;
  /** Only shown if asked for. */
  readonly extra?: true;
  readonly text: (flow: PageFlow, unit: 'bits' | 'bytes', rates: 'average' | 'rate') => string | Halves;
  readonly look?: (flow: PageFlow) => string;
}

export const PAGE_COLUMNS: readonly PageColumnRow[] = [
  {
    name: 'netns',
    title: 'NETNS',
    sort: 'netns',
    ascending: true,
    least: 80,
    priority: 8,
    extra: true,
    text: ({ netns = '' }) => netns,
  },
  { name: 'protocol', title: 'PROTO', sort: 'protocol', ascending: true, least: 54, priority: 6, text: protocolOf },
  {
    name: 'source',
    title: 'SOURCE',
    sort: 'src',
    ascending: true,
    least: 160,
    grow: 3,
    priority: 0,
    text: ({ flow: { original } }) => halves(original.src, original.sport),
  },
  {
    name: 'destination',
    title: 'DESTINATION',
    sort: 'dst',
    ascending: true,
    least: 160,
    grow: 3,
    priority: 0,
    text: ({ flow: { original } }) => halves(original.dst, original.dport),
  },
  { name: 'nat', title: 'NAT', least: 150, grow: 2, priority: 7, text: translation },
  {
    name: 'state',
    title: 'STATE',
    sort: 'state',
    ascending: true,
    least: 124,
    priority: 4,
    text: stateOf,
    look: (flow) => (hasStatus(flow, 'OFFLOAD') || hasStatus(flow, 'HW_OFFLOAD') ? 'offloaded' : ''),
  },
  rateColumn('original', '→', 'sent'),
  rateColumn('reply', '←', 'received'),
  {
    name: 'packets',
    title: 'PKT/S',
    spoken: 'packets per second',
    sort: 'packetRate',
    least: 62,
    right: true,
    priority: 11,
    extra: true,
    text: ({ packetRate, counters }) => shortCount(counters === 'none' ? null : packetRate),
  },
  {
    name: 'bytes',
    title: 'BYTES',
    sort: 'bytes',
    least: 76,
    right: true,
    priority: 9,
    text: ({ flow: { original, reply } }) => {
      const there = bytesOf(original);
      return bytes(there === null ? null : there + (bytesOf(reply) ?? 0));
    },
  },
  {
    name: 'age',
    title: 'AGE',
    sort: 'age',
    least: 74,
    right: true,
    priority: 5,
    text: ({ age: seconds, ageAtLeast }) => `${ageAtLeast ? '≥' : ''}${age(seconds)}`,
  },
  { name: 'idle', title: 'IDLE', sort: 'idle', least: 66, right: true, priority: 10, text: ({ idle }) => age(idle ?? null) },
  {
    name: 'expires',
    title: 'EXPIRES',
    sort: 'timeout',
    least: 76,
    right: true,
    priority: 12,
    extra: true,
    text: ({ flow: { timeout } }) => age(timeout ?? null),
  },
  {
    name: 'mark',
    title: 'MARK',
    sort: 'mark',
    ascending: true,
    least: 84,
    right: true,
    priority: 13,
    extra: true,
    text: ({ flow: { mark = 0 } }) => (mark > 0xffff ? `0x${mark.toString(16)}` : String(mark)),
  },
  {
    name: 'zone',
    title: 'ZONE',
    sort: 'zone',
    ascending: true,
    least: 60,
    right: true,
    priority: 14,
    extra: true,
    text: ({ flow: { zone = 0 } }) => String(zone),
  },
  { name: 'helper', title: 'HELPER', least: 90, priority: 15, extra: true, text: ({ flow: { helper = '-' } }) => helper },
  {
    name: 'labels',
    title: 'LABELS',
    least: 110,
    priority: 16,
    extra: true,
    text: ({ flow: { labels } }) => labels?.join(' ') || '-',
  },
];

function rateColumn(direction: keyof PageRates, sign: string, spoken: string): PageColumnRow {
  return {
    name: direction,
    title: `${sign} RATE`,
    spoken: `rate ${spoken}`,
    sort: direction === 'original' ? 'averageOriginal' : 'averageReply',
    least: 86,
    right: true,
    priority: direction === 'original' ? 2 : 1,
    text: (flow, unit, rates) => (flow.counters === 'offloaded' ? 'offl' : rate(measured(flow, flow[rates]?.[direction]), unit)),
  };
}

/** Without counters it will never be known. */
function measured({ counters }: PageFlow, value: number | undefined): Measured {
  return counters === 'none' ? null : value;
}

/** What can be sorted by. */
export const PAGE_SORTS = PAGE_COLUMNS.flatMap(({ sort, title }) => (sort === undefined ? [] : [{ sort, title }]));

/** Columns of a card, where the screen is narrow. */
const CARD: readonly string[] = ['protocol', 'source', 'destination', 'state', 'original', 'reply', 'bytes', 'age'];
/** Pixels below which rows are cards. */
export const NARROW = 620;
/** Of the box that selects a row. */
const BOX = 34;

/** The columns that somebody wants, as far as there is room. */
export function fittingColumns(wanted: string, width: number, several: boolean): readonly PageColumnRow[] {
  if (width < NARROW) return PAGE_COLUMNS.filter(({ name }) => CARD.includes(name));
  const chosen = wanted === '' ? undefined : wanted.split(',');
  const columns = PAGE_COLUMNS.filter(({ name, extra, priority }) =>
    chosen ? chosen.includes(name) || priority === 0 : !extra || (name === 'netns' && several),
  );
  if (chosen) return columns;
  let room = width - leastWidth(columns);
  const dropped = new Set<PageColumnRow>();
  for (const column of [...columns].sort((a, b) => b.priority - a.priority)) {
    if (room >= 0 || column.priority === 0) break;
    dropped.add(column);
    room += column.least;
  }
  return columns.filter((column) => !dropped.has(column));
}

/** Pixels that the columns need: with fewer, the table scrolls sideways. */
export function leastWidth(columns: readonly PageColumnRow[]): number {
  return columns.reduce((sum, { least }) => sum + least, BOX);
}

/** The columns as CSS has them. */
export function templateOf(columns: readonly PageColumnRow[]): string {
  return `${BOX}px ${columns.map(({ least, grow }) => (grow ? `minmax(${least}px, ${grow}fr)` : `${least}px`)).join(' ')}`;
}
