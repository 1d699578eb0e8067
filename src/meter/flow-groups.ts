// Groups of flows as objects, in an order.

import { formatFilter } from '../library/index.js';
import type { FlowGroup, OtherGroups } from './flow-group.js';
import type { FlowStore } from './flow-store.js';
import { REST } from './group-index.js';
import type { GroupSums } from './group-sums.js';
import type { GroupTable } from './group-table.js';
import type { GroupSort } from './meter-names.js';
import { bothWays, rounded } from './metered-flow.js';
import { descending, sortByWords } from './radix-sort.js';

type Value = (sums: GroupSums, group: number, table: GroupTable | undefined) => number;

const SORTS = {
  flows: (s, g) => s.flows[g]!,
  unreplied: (s, g) => s.unreplied[g]!,
  begun: (_, g, table) => table?.begun[g] ?? 0,
  average: (s, g) => s.averageOriginal[g]! + s.averageReply[g]!,
  averageOriginal: (s, g) => s.averageOriginal[g]!,
  averageReply: (s, g) => s.averageReply[g]!,
  rate: (s, g) => s.rateOriginal[g]! + s.rateReply[g]!,
  rateOriginal: (s, g) => s.rateOriginal[g]!,
  rateReply: (s, g) => s.rateReply[g]!,
  packetRate: (s, g) => s.packetRate[g]!,
  bytes: (s, g) => s.bytesOriginal[g]! + s.bytesReply[g]!,
  bytesOriginal: (s, g) => s.bytesOriginal[g]!,
  bytesReply: (s, g) => s.bytesReply[g]!,
  packets: (s, g) => s.packetsOriginal[g]! + s.packetsReply[g]!,
} as const satisfies Record<Exclude<GroupSort, 'key'>, Value>;

/** Where the groups of a table have their keys; `begun` only if they are kept. */
export interface GroupKeys {
  readonly grouping: GroupTable['grouping'];
  keyOf(group: number): Int32Array;
}

/** The numbers of the groups that have flows, in the order of a sort. */
export function sortGroups(
  sums: GroupSums,
  keys: GroupKeys,
  table: GroupTable | undefined,
  sort: GroupSort,
  reverse: boolean,
): number[] {
  const groups: number[] = [];
  const unknown: number[] = [];
  const known = ALWAYS_KNOWN.includes(sort) ? undefined : /^(bytes|packets)/.test(sort) ? sums.read : sums.rated;
  for (let group = 0; group < sums.flows.length; group++)
    if (sums.flows[group]! > 0 && group !== REST) (known === undefined || known[group]! > 0 ? groups : unknown).push(group);
  const down = (sort !== 'key') !== reverse;
  const words =
    sort === 'key'
      ? Array.from({ length: keys.grouping.words }, (_, w) => Uint32Array.from(groups, (group) => keys.keyOf(group)[w]!))
      : wordsOf(Float64Array.from(groups, (group) => SORTS[sort](sums, group, table)));
  if (down) for (const word of words) for (let n = 0; n < word.length; n++) word[n] = descending(word[n]!);
  return [...Array.from(sortByWords(words, groups.length), (row) => groups[row]!), ...unknown];
}

/** What groups are sorted by without having counters. */
const ALWAYS_KNOWN: readonly GroupSort[] = ['flows', 'unreplied', 'begun', 'key'];

/** A group as an object. */
export function groupAt(
  store: Pick<FlowStore, 'names'>,
  sums: GroupSums,
  keys: GroupKeys,
  table: GroupTable | undefined,
  group: number,
): FlowGroup {
  const { key, filter } = keys.grouping.describe(keys.keyOf(group), store.names);
  const history = table?.history.of(group);
  return {
    key,
    ...(filter === undefined ? {} : { filter: formatFilter(filter) }),
    ...amounts(sums, [group]),
    ...(table ? { counted: countedOf(table, group) } : {}),
    ...(history ? { history: history.map((rate) => rounded(rate, 1)) } : {}),
  };
}

/** Several groups together. */
export function otherGroups(sums: GroupSums, groups: readonly number[]): OtherGroups {
  return { groups: groups.length, ...amounts(sums, groups) };
}

/** All flows of sums that have one group. */
export function totalsOf(sums: GroupSums): Omit<OtherGroups, 'groups'> {
  return amounts(sums, [0]);
}

function amounts(sums: GroupSums, groups: readonly number[]): Omit<OtherGroups, 'groups'> {
  const sum = (column: Float64Array) => groups.reduce((total, group) => total + column[group]!, 0);
  const both = (original: Float64Array, reply: Float64Array) => ({ original: sum(original), reply: sum(reply) });
  const rated = sum(sums.rated) > 0;
  return {
    flows: sum(sums.flows),
    unreplied: sum(sums.unreplied),
    ...(sum(sums.read) > 0
      ? { bytes: both(sums.bytesOriginal, sums.bytesReply), packets: both(sums.packetsOriginal, sums.packetsReply) }
      : {}),
    ...(rated
      ? {
          rate: bothWays(sum(sums.rateOriginal), sum(sums.rateReply)),
          average: bothWays(sum(sums.averageOriginal), sum(sums.averageReply)),
          packetRate: rounded(sum(sums.packetRate), 1),
        }
      : {}),
  };
}

function countedOf(table: GroupTable, group: number): NonNullable<FlowGroup['counted']> {
  const { begun, bytesOriginal, bytesReply, packetsOriginal, packetsReply } = table.counted;
  return {
    begun: begun[group]!,
    bytes: { original: bytesOriginal[group]!, reply: bytesReply[group]! },
    packets: { original: packetsOriginal[group]!, reply: packetsReply[group]! },
  };
}

/** Numbers in two words each, in the same order; with 8 bits behind the point. */
function wordsOf(values: Float64Array): Uint32Array[] {
  const fixed = values.map((value) => Math.floor(256 * value));
  return [
    Uint32Array.from(fixed, (value) => Math.min(Math.floor(value / HALF), HALF - 1)),
    Uint32Array.from(fixed, (value) => value % HALF),
  ];
}

const HALF = 4294967296;
