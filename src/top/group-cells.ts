// The columns of a table of groups, a row each.

import type { BothWays, FlowGroup, GroupSort } from '../meter/index.js';
import { bytes, count, type Measured, percent, rate, shortCount, sparkline } from '../units.js';
import { rateTitle } from './flow-cells.js';
import { COLORS } from './style.js';
import { type CellContext, cutEnd, ellipsis, type TableColumn } from './table-layout.js';

/** A group, and the flows of which it is a part. */
export interface GroupRow {
  readonly group: FlowGroup;
  readonly all: number;
}

export interface GroupColumn extends TableColumn<GroupRow> {
  readonly sort?: GroupSort;
}

/** The columns; `title`: what the groups are. */
export function groupColumns(title: string): readonly GroupColumn[] {
  return [
    {
      name: 'key',
      title: () => title.toUpperCase(),
      least: 18,
      most: 47,
      priority: 0,
      sort: 'key',
      key: 'n',
      text: ({ group: { key } }, width, { ascii }) => middleCut(key, width, ascii),
    },
    {
      name: 'flows',
      title: () => 'FLOWS',
      least: 9,
      right: true,
      priority: 1,
      sort: 'flows',
      key: 'f',
      text: ({ group }) => count(group.flows),
    },
    {
      name: 'share',
      title: () => 'SHARE',
      least: 6,
      right: true,
      priority: 5,
      text: ({ group, all }) => percent(group.flows, all, 1),
    },
    {
      name: 'begun',
      title: () => 'BEGUN',
      least: 7,
      right: true,
      priority: 9,
      sort: 'begun',
      key: 'g',
      text: ({ group: { counted } }) => shortCount(counted?.begun ?? null),
    },
    {
      name: 'ended-unreplied',
      title: () => 'ENDED!',
      least: 7,
      right: true,
      priority: 10,
      sort: 'endedUnreplied',
      key: 'd',
      text: ({ group: { counted } }) => shortCount(counted?.endedUnreplied ?? null),
    },
    {
      name: 'unreplied',
      title: () => 'UNREPL',
      least: 6,
      right: true,
      priority: 4,
      sort: 'unreplied',
      key: 'u',
      text: ({ group }) => percent(group.unreplied, group.flows),
    },
    rateColumn('original', 'e', 2),
    rateColumn('reply', 'r', 3),
    {
      name: 'packets',
      title: () => 'PKT/s',
      least: 5,
      right: true,
      priority: 8,
      sort: 'packetRate',
      key: 'k',
      text: ({ group }) => shortCount(measured(group, group.packetRate)),
    },
    {
      name: 'bytes',
      title: () => 'BYTES',
      least: 7,
      right: true,
      priority: 6,
      sort: 'bytes',
      key: 'b',
      text: ({ group: { bytes: sum } }) => bytes(sum ? sum.original + sum.reply : null),
    },
    {
      name: 'history',
      title: () => 'LAST 60 s',
      least: 10,
      most: 30,
      chart: true,
      priority: 7,
      text: ({ group: { history = [] } }, width, { ascii }) => sparkline(history, width, ascii ? 'ascii' : 'unicode'),
      style: () => COLORS.cyan,
    },
  ];
}

function rateColumn(direction: keyof BothWays, key: string, priority: number): GroupColumn {
  return {
    name: `rate-${direction}`,
    title: (context) => rateTitle(direction, context),
    least: 7,
    right: true,
    priority,
    sort: direction === 'original' ? 'averageOriginal' : 'averageReply',
    key,
    text: ({ group }, _, context) => rateOf(group, direction, context),
  };
}

function rateOf(group: FlowGroup, direction: keyof BothWays, { unit, averages }: CellContext): string {
  return rate(measured(group, (averages ? group.average : group.rate)?.[direction]), unit);
}

/** Without counters it will never be known. */
function measured({ bytes: sum }: FlowGroup, value: number | undefined): Measured {
  return sum === undefined ? null : value;
}

/** A long key loses its middle. */
function middleCut(text: string, width: number, ascii: boolean): string {
  if (text.length <= width) return text;
  const half = Math.ceil((width - 1) / 2);
  return width < 5
    ? cutEnd(text, width, ascii)
    : `${text.slice(0, half)}${ellipsis(ascii)}${text.slice(text.length - (width - 1 - half))}`;
}
