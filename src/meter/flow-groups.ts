// Groups of flows as objects, in an order.

import { formatFilter } from '../library/index.js';
import type { FlowGroup, OtherGroups } from './flow-group.js';
import type { FlowStore } from './flow-store.js';
import { REST } from './group-index.js';
import type { GroupSums } from './group-sums.js';
import type { GroupTable } from './group-table.js';
import { largestOf } from './largest.js';
import type { GroupSort } from './meter-names.js';
import { offsetAround, type readGroupsQuery } from './meter-query.js';
import { bothWays, rounded } from './metered-flow.js';
import { descending, sortByWords } from './radix-sort.js';

type Value = (sums: GroupSums, group: number, table: GroupTable | undefined) => number;

const SORTS = {
  flows: (s, g) => s.flows[g]!,
  unreplied: (s, g) => s.unreplied[g]!,
  begun: (_, g, table) => table?.counted.begun[g] ?? 0,
  endedUnreplied: (_, g, table) => table?.counted.endedUnreplied[g] ?? 0,
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

/** Where the groups of a table have their keys. */
export interface GroupKeys {
  readonly grouping: GroupTable['grouping'];
  keyOf(group: number): Int32Array;
}

/** Which groups are wanted. */
type GroupsPart = Pick<ReturnType<typeof readGroupsQuery>, 'around' | 'sort' | 'reverse' | 'offset' | 'limit'>;

/** Groups of an answer. */
interface RankedGroups {
  readonly offset: number;
  readonly groups: readonly FlowGroup[];
  /** How many there are. */
  readonly count: number;
  /** Those that are not among `groups`. */
  readonly other: OtherGroups;
}

/** The groups that are wanted, in their order, and all others together. `table`: what else is kept of them. */
export function rankGroups(
  store: Pick<FlowStore, 'names'>,
  sums: GroupSums,
  keys: GroupKeys,
  table: GroupTable | undefined,
  { around, sort, reverse, limit, ...wanted }: GroupsPart,
): RankedGroups {
  const { describe } = keys.grouping;
  let count = 0;
  for (let group = 0; group < sums.flows.length; group++) if (sums.flows[group]! > 0 && group !== REST) count++;
  const order = sortGroups(sums, keys, table, sort, reverse, around ? count : Math.min(count, wanted.offset + limit));
  const index = around ? order.findIndex((group) => describe(keys.keyOf(group), store.names).key === around.key) : -1;
  const offset = offsetAround(index, around?.row, wanted.offset, limit, count);
  const shown = order.slice(offset, offset + limit);
  const isOther = new Uint8Array(sums.flows.length).fill(1);
  for (const group of shown) isOther[group] = 0;
  const other = amounts(sums, (column) => sumWhere(column, isOther));
  return {
    offset,
    groups: shown.map((group) => groupAt(store, sums, keys, table, group)),
    count,
    other: { groups: count - shown.length + (sums.flows[REST]! > 0 ? 1 : 0), ...other },
  };
}

/** The numbers of the first groups that have flows, at least `most` of them, in the order of a sort. */
function sortGroups(
  sums: GroupSums,
  keys: GroupKeys,
  table: GroupTable | undefined,
  sort: GroupSort,
  reverse: boolean,
  most: number,
): number[] {
  const groups: number[] = [];
  const unknown: number[] = [];
  const known = ALWAYS_KNOWN.includes(sort) ? undefined : /^(bytes|packets)/.test(sort) ? sums.read : sums.rated;
  for (let group = 0; group < sums.flows.length; group++)
    if (sums.flows[group]! > 0 && group !== REST) (known === undefined || known[group]! > 0 ? groups : unknown).push(group);
  return [...firstGroups(groups), ...unknown];

  function firstGroups(of: readonly number[]): number[] {
    if (sort === 'key') {
      const words = Array.from({ length: keys.grouping.words }, (_, w) => Uint32Array.from(of, (group) => keys.keyOf(group)[w]!));
      return sorted(of, words, reverse);
    }
    // With 8 bits behind the point.
    const values = Float64Array.from(of, (group) => Math.floor(256 * SORTS[sort](sums, group, table)));
    if (of.length < WORTH_A_HEAP * most) return sorted(of, wordsOf(values), !reverse);
    return Array.from(largestOf(reverse ? values.map((value) => -value) : values, most), (row) => of[row]!);
  }
}

/** Where the wanted are fewer than one in so many, all others stay unsorted. */
const WORTH_A_HEAP = 8;

function sorted(groups: readonly number[], words: readonly Uint32Array[], down: boolean): number[] {
  if (down) for (const word of words) for (let n = 0; n < word.length; n++) word[n] = descending(word[n]!);
  return Array.from(sortByWords(words, groups.length), (row) => groups[row]!);
}

/** What groups are sorted by without having counters. */
const ALWAYS_KNOWN: readonly GroupSort[] = ['flows', 'unreplied', 'begun', 'endedUnreplied', 'key'];

/** A group as an object. */
function groupAt(
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
    ...amounts(sums, (column) => column[group]!),
    ...(table ? { counted: countedOf(table, group) } : {}),
    ...(history ? { history: history.map((rate) => rounded(rate, 1)) } : {}),
  };
}

/** All flows of sums together. */
export function totalsOf(sums: GroupSums): Omit<OtherGroups, 'groups'> {
  return amounts(sums, sumOf);
}

function sumOf(column: Float64Array): number {
  let total = 0;
  for (let group = 0; group < column.length; group++) total += column[group]!;
  return total;
}

function sumWhere(column: Float64Array, isIn: Uint8Array): number {
  let total = 0;
  for (let group = 0; group < column.length; group++) if (isIn[group] === 1) total += column[group]!;
  return total;
}

/** What the groups of a choice have together: `sum` adds them up. */
function amounts(sums: GroupSums, sum: (column: Float64Array) => number): Omit<OtherGroups, 'groups'> {
  const both = (original: Float64Array, reply: Float64Array) => ({ original: sum(original), reply: sum(reply) });
  return {
    flows: sum(sums.flows),
    unreplied: sum(sums.unreplied),
    ...(sum(sums.read) > 0
      ? { bytes: both(sums.bytesOriginal, sums.bytesReply), packets: both(sums.packetsOriginal, sums.packetsReply) }
      : {}),
    ...(sum(sums.rated) > 0
      ? {
          rate: bothWays(sum(sums.rateOriginal), sum(sums.rateReply)),
          average: bothWays(sum(sums.averageOriginal), sum(sums.averageReply)),
          packetRate: rounded(sum(sums.packetRate), 1),
        }
      : {}),
  };
}

function countedOf(table: GroupTable, group: number): NonNullable<FlowGroup['counted']> {
  const { begun, ended, endedUnreplied, bytesOriginal, bytesReply, packetsOriginal, packetsReply } = table.counted;
  return {
    begun: begun[group]!,
    ended: ended[group]!,
    endedUnreplied: endedUnreplied[group]!,
    bytes: { original: bytesOriginal[group]!, reply: bytesReply[group]! },
    packets: { original: packetsOriginal[group]!, reply: packetsReply[group]! },
  };
}

/** Whole numbers in two words each, in the same order. */
function wordsOf(values: Float64Array): Uint32Array[] {
  return [
    Uint32Array.from(values, (value) => Math.min(Math.floor(value / HALF), HALF - 1)),
    Uint32Array.from(values, (value) => value % HALF),
  ];
}

const HALF = 4294967296;
