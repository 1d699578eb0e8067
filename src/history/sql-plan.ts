// The part of a FlowFilter that SQLite does. As with the plan for the kernel, it may let more rows through than the filter wants, never
// fewer, and the predicate over a view decides. Values go as parameters, never as text.

import type { AddressBytes } from '../ctnetlink/address.js';
import { withoutNames } from '../ctnetlink/filter/address-ranges.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { type FlowCondition, type FlowFilter, MAX_COUNT, type TupleEnd, translatedEnd } from '../ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { type NormalFilter, toNormalForm } from '../ctnetlink/filter/normal.js';
import { type AddressSet, ipv6Of, pairsOf, type Ranges, toNumber } from '../ctnetlink/filter/sets.js';
import { gre } from '../ctnetlink/protocols/gre.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { AF_INET } from '../ctnetlink/uapi/in.js';
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import { ValueError } from '../errors.js';
import type { SqliteValue } from './driver/sqlite.js';

/** A condition of SQL, and its parameters. */
export interface SqlCondition {
  readonly sql: string;
  readonly values: readonly SqliteValue[];
}

/** A condition that an index answers. */
export interface IndexUse extends SqlCondition {
  readonly index: string;
  /** The one value of each column of the index that it asks for; absent if it asks for ranges, or not for all. */
  readonly only?: readonly SqliteValue[] | undefined;
}

/** What SQLite does for a filter. */
export interface SqlPlan {
  /** Holds for every wanted row of `flow`; `undefined`: nothing can be said. */
  readonly flow: SqlCondition | undefined;
  /** The same for `open`. */
  readonly open: SqlCondition | undefined;
  /** Every wanted row is in one of these; `undefined`: all rows have to be looked at. */
  readonly indexes: readonly IndexUse[] | undefined;
}

/** The plan for a filter. @throws ValueError for a condition on what is not recorded */
export function sqlPlan(filter: FlowFilter): SqlPlan {
  const normal = toNormalForm(filter);
  refuseUnrecorded(normal);
  return { flow: compile(normal, false), open: compile(normal, true), indexes: usesOf(normal) };
}

/** Both conditions. */
export function both(a: SqlCondition | undefined, b: SqlCondition | undefined): SqlCondition | undefined {
  return a && b ? joined('AND', [a, b]) : (a ?? b);
}

/** Values of a set that are compared one by one; larger sets are compared by their bounds. */
const MOST_RANGES = 32;
/** Comparisons of a condition: SQLite limits how deep an expression is. */
const MOST_TERMS = 300;

function compile(filter: NormalFilter, open: boolean): SqlCondition | undefined {
  const condition = conditionOf(filter, open);
  return condition && condition.values.length > 2 * MOST_TERMS ? undefined : condition;
}

function conditionOf(filter: NormalFilter, open: boolean): SqlCondition | undefined {
  if (filter.kind === 'leaf') return leafCondition(filter.condition, filter.wanted, open);
  const parts = filter.of.map((part) => conditionOf(part, open));
  const known = parts.filter((part) => part !== undefined);
  if (filter.kind === 'any') return parts.length === 0 ? NEVER : known.length < parts.length ? undefined : joined('OR', known);
  return known.length === 0 ? undefined : joined('AND', known);
}

const NEVER: SqlCondition = { sql: '0', values: [] };

/** All of several conditions. */
export function all(parts: readonly SqlCondition[]): SqlCondition {
  return joined('AND', parts);
}

/** One of several conditions. */
export function any(parts: readonly SqlCondition[]): SqlCondition {
  return joined('OR', parts);
}

function joined(word: 'AND' | 'OR', parts: readonly SqlCondition[]): SqlCondition {
  if (parts.length === 1) return parts[0]!;
  return { sql: `(${parts.map(({ sql }) => sql).join(` ${word} `)})`, values: parts.flatMap(({ values }) => values) };
}

/** What SQL says of a condition. */
interface LeafSql extends SqlCondition {
  /** It says the same as the predicate, so that its contrary may be asked as well. */
  readonly exact: boolean;
}

function leafCondition(condition: FlowCondition, wanted: boolean, open: boolean): SqlCondition | undefined {
  const leaf = leafSql(condition, open);
  if (!leaf || wanted) return leaf;
  return leaf.exact ? { sql: `NOT coalesce(${leaf.sql}, 0)`, values: leaf.values } : undefined;
}

/** The zone of both directions, of one, of the other; 0 if they have none. */
const ZONES = {
  zone: '(CASE WHEN coalesce(zone, 0) < 65536 THEN coalesce(zone, 0) ELSE 0 END)',
  originalZone: '(CASE WHEN zone BETWEEN 65536 AND 131071 THEN zone - 65536 ELSE 0 END)',
  replyZone: '(CASE WHEN zone >= 131072 THEN zone - 131072 ELSE 0 END)',
} as const;

const PORTLESS = `${icmp.number}, ${icmpv6.number}`;

function leafSql(c: FlowCondition, open: boolean): LeafSql | undefined {
  switch (c.kind) {
    case 'family':
      return exact(`typeof(src) ${c.family === AF_INET ? '<>' : '='} 'blob'`);
    case 'number':
      switch (c.field) {
        case 'protocol':
          return inRanges('proto', c.ranges, true);
        case 'zone':
        case 'originalZone':
        case 'replyZone':
          return inRanges(ZONES[c.field], c.ranges, true);
        case 'id':
          return inRanges('(ctid & 4294967295)', c.ranges, false);
        case 'icmpType':
        case 'icmpv6Type':
          return inRanges('(dport >> 8)', c.ranges, false);
        case 'icmpCode':
        case 'icmpv6Code':
          return inRanges('(dport & 255)', c.ranges, false);
        case 'icmpId':
        case 'icmpv6Id':
          return inRanges('sport', c.ranges, false);
        default:
          return undefined;
      }
    case 'address':
      return anyOf(c.ends.map((end) => addressSql(end, c.set)));
    case 'port': {
      const of = c.of === 'key' ? `proto = ${gre.number}` : `proto NOT IN (${gre.number}, ${PORTLESS})`;
      const ends = anyOf(
        c.ends.map((end) => inRanges(PORT[end.side === 'reply' ? 'reply' : 'original'][end.end], c.ranges, true)),
      );
      return ends && { ...ends, sql: `(${of} AND ${ends.sql})` };
    }
    case 'state': {
      const parts = TRACKERS.flatMap(({ protonum, states }) => {
        const numbers = states.flatMap((name, number) => (c.names.includes(name) ? [number] : []));
        return numbers.length === 0 ? [] : [exact(`(proto = ${protonum} AND state IN (${numbers.join(', ')}))`)];
      });
      return anyOf(parts);
    }
    case 'mark':
      return inRanges(`(coalesce(mark, 0) & ${c.mask >>> 0})`, c.ranges, true);
    case 'status':
      return exact(`(coalesce(status, 0) & ${2 ** c.bit}) <> 0`);
    case 'nat':
      return loose(
        c.nat === 'src'
          ? `((status & ${IPS_SRC_NAT_DONE}) <> 0 AND (src IS NOT ext OR sport IS NOT eport))`
          : `((status & ${IPS_DST_NAT_DONE}) <> 0 AND rsrc IS NOT NULL)`,
      );
    case 'natTo': {
      const end = translatedEnd(c.nat);
      const parts = [
        leafSql({ kind: 'nat', nat: c.nat }, open)!,
        ...(c.set ? [addressSql(end, c.set)] : []),
        ...(c.ports ? [inRanges(PORT.reply[end.end], c.ports, false)] : []),
      ];
      return { ...joined('AND', parts), exact: false };
    }
    case 'counter': {
      if (open) return NONE;
      const [original, reply] = c.of === 'bytes' ? ['ob', 'rb'] : ['opk', 'rpk'];
      const sum = c.side === undefined ? `(${original} + ${reply})` : c.side === 'original' ? original! : reply!;
      // Rounded sums of numbers above 2^53 may be off by a little.
      return inRanges(sum, c.ranges, c.side !== undefined);
    }
    case 'age':
      // The predicate rounds to milliseconds, by way of doubles.
      if (open) return undefined;
      return inRanges(
        'dur',
        pairsOf(c.ranges).flatMap(([from, to]) => [from * 1000 - 2000, Math.min(to * 1000 + 2000, MAX_COUNT)]),
        false,
      );
    case 'time': {
      if (c.of === 'stop' && open) return NONE;
      const from = c.from === undefined ? -MAX_COUNT : Number(c.from / 1000n) - 1;
      const to = c.before === undefined ? MAX_COUNT : Number(c.before / 1000n) + 1;
      return inRanges(c.of === 'start' ? 'start' : '(start + dur)', [from, to], false);
    }
    case 'has':
      if (c.what !== 'bytes' && c.what !== 'packets') return undefined;
      return open ? NONE : exact(c.what === 'bytes' ? 'ob IS NOT NULL' : 'opk IS NOT NULL');
    case 'label':
    case 'text':
      return undefined;
    default:
      return c satisfies never;
  }
}

/** The ports of a direction, as the message of a row has them. */
const PORT = {
  original: { src: 'sport', dst: 'dport' },
  reply: { src: '(CASE WHEN rsrc IS NULL THEN dport ELSE rsport END)', dst: 'eport' },
} as const;

/** Open flows have no counters and no end. */
const NONE: LeafSql = { ...NEVER, exact: true };

function exact(sql: string): LeafSql {
  return { sql, values: [], exact: true };
}

function loose(sql: string): LeafSql {
  return { sql, values: [], exact: false };
}

function anyOf(parts: readonly (LeafSql | undefined)[]): LeafSql | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length < parts.length) return undefined;
  return known.length === 0 ? NONE : { ...joined('OR', known), exact: known.every((part) => part.exact) };
}

/** `to` of MAX_COUNT stands for all that is greater, too. */
function inRanges(expression: string, ranges: Ranges, isExact: boolean): LeafSql {
  const few = ranges.length <= 2 * MOST_RANGES;
  const pairs = few ? pairsOf(ranges) : [[ranges[0]!, ranges.at(-1)!] as const];
  const parts = pairs.map(
    ([from, to]): SqlCondition =>
      from === to && to !== MAX_COUNT
        ? { sql: `${expression} = ?`, values: [from] }
        : to === MAX_COUNT
          ? { sql: `${expression} >= ?`, values: [from] }
          : { sql: `${expression} BETWEEN ? AND ?`, values: [from, to] },
  );
  return { ...joined('OR', parts), exact: isExact && few };
}

/** The address of an end is in the set, or its address and port are. */
function addressSql({ side, end }: TupleEnd, named: AddressSet): LeafSql {
  if (side === 'original') return setSql(end, PORT.original[end], named);
  if (end === 'dst') return setSql('ext', PORT.reply.dst, named);
  const parts = [setSql('rsrc', PORT.reply.src, named), setSql('dst', PORT.reply.src, named)] as const;
  return {
    sql: `(${parts[0].sql} OR (rsrc IS NULL AND ${parts[1].sql}))`,
    values: parts.flatMap(({ values }) => values),
    exact: parts[0].exact,
  };
}

function setSql(column: string, portColumn: string, named: AddressSet): LeafSql {
  const set = withoutNames(named);
  let isExact = true;
  const parts: SqlCondition[] = [];
  const ranges = addressRanges(set);
  if (ranges.length > MOST_RANGES) {
    isExact = false;
    for (const kind of ['number', 'object'] as const) {
      const own = ranges.filter(([from]) => typeof from === kind);
      if (own.length > 0) parts.push(between(column, own[0]![0], own.at(-1)![1]));
    }
  } else for (const [from, to] of ranges) parts.push(between(column, from, to));
  for (const { address, mask } of set.masked)
    if (address.length === 4)
      parts.push({
        sql: `(typeof(${column}) = 'integer' AND (${column} & 4294967295 & ?) = ?)`,
        values: [toNumber(mask), toNumber(address)],
      });
    else {
      isExact = false;
      parts.push({ sql: `typeof(${column}) = 'blob'`, values: [] });
    }
  for (const { address, port } of set.sockets)
    parts.push({
      sql: `(${column} = ? AND ${portColumn} = ? AND proto NOT IN (${PORTLESS}))`,
      values: [addressValue(address), port],
    });
  return parts.length === 0 ? NONE : { ...joined('OR', parts), exact: isExact };
}

/** One value, or a range of them. */
export function between(column: string, from: SqliteValue, to: SqliteValue): SqlCondition {
  return isSame(from, to) ? { sql: `${column} = ?`, values: [from] } : { sql: `${column} BETWEEN ? AND ?`, values: [from, to] };
}

function isSame(a: SqliteValue, b: SqliteValue): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? a.every((byte, i) => byte === b[i]) : a === b;
}

/** An address as a column has it. */
export function addressValue(address: AddressBytes): SqliteValue {
  return address.length === 4 ? toNumber(address) | 0 : address;
}

/** Ranges as columns have them, in the order of columns: IPv4 is signed there. */
export function addressRanges(set: Pick<AddressSet, 'v4' | 'v6'>): (readonly [SqliteValue, SqliteValue])[] {
  const low: [number, number][] = [];
  const high: [number, number][] = [];
  for (const [from, to] of pairsOf(set.v4)) {
    if (from < HALF) low.push([from, Math.min(to, HALF - 1)]);
    if (to >= HALF) high.push([Math.max(from, HALF) | 0, to | 0]);
  }
  return [...high, ...low, ...pairsOf(set.v6).map(([from, to]) => [ipv6Of(from), ipv6Of(to)] as const)];
}

const HALF = 0x8000_0000;

/** Look-ups in an index that are better than looking at all rows. */
const MOST_USES = 64;

/** Every wanted row is in one of these. */
function usesOf(filter: NormalFilter): readonly IndexUse[] | undefined {
  switch (filter.kind) {
    case 'leaf':
      return filter.wanted ? usesOfLeaf(filter.condition) : undefined;
    case 'any': {
      const parts = filter.of.map(usesOf);
      if (parts.some((part) => part === undefined)) return undefined;
      const uses = (parts as (readonly IndexUse[])[]).flat();
      return uses.length > MOST_USES ? undefined : uses;
    }
    case 'all':
      return usesOfAll(filter.of);
  }
}

/** The part with the fewest look-ups; addresses together with their ports. */
function usesOfAll(parts: readonly NormalFilter[]): readonly IndexUse[] | undefined {
  const leaves = parts.flatMap((part) => (part.kind === 'leaf' && part.wanted ? [part.condition] : []));
  const required = (index: string) =>
    index === 'flow_dnat' ? leaves.some((leaf) => leaf.kind === 'nat' && leaf.nat === 'dst') : true;
  const candidates = parts.map(usesOf).filter((uses) => uses !== undefined);
  const paired = leaves.flatMap((leaf): readonly (readonly IndexUse[])[] => {
    if (leaf.kind !== 'address' || leaf.ends.length !== 1) return [];
    const [{ side, end }] = leaf.ends as [TupleEnd];
    const row = PAIRED.find((pair) => pair.side === side && pair.end === end);
    if (!row || !required(row.index)) return [];
    const addresses = lookups(row.column, leaf.set);
    if (!addresses) return [];
    const ports = leaves.find(
      (other): other is Extract<FlowCondition, { kind: 'port' }> =>
        other.kind === 'port' && other.ends.length === 1 && other.ends[0]!.side === side && other.ends[0]!.end === end,
    );
    const narrower = ports && ports.ranges.length === 2 ? inRanges(row.port, ports.ranges, true) : undefined;
    return [
      addresses.map((use) => ({
        ...(both(use, narrower) as SqlCondition),
        index: row.index,
        only:
          use.values.length === 1 && narrower?.values.length === 1 && isOne(ports!.ranges)
            ? [...use.values, ...narrower.values]
            : undefined,
      })),
    ];
  });
  const [best] = [...paired, ...candidates].sort((a, b) => a.length - b.length);
  return best;
}

function isOne([from, to]: Ranges): boolean {
  return from === to;
}

/** Indexes that begin with an address, whose port follows. A partial one needs what it is limited to. */
const PAIRED = [
  { index: 'flow_ext', side: 'reply', end: 'dst', column: 'ext', port: 'eport' },
  { index: 'flow_dnat', side: 'original', end: 'dst', column: 'rsrc IS NOT NULL AND dst', port: 'dport' },
] as const;

function usesOfLeaf(c: FlowCondition): readonly IndexUse[] | undefined {
  const use = (index: string, column: string, set: AddressSet) =>
    lookups(column, set)?.map((each) => ({
      ...each,
      index,
      only: index !== 'flow_ext' && each.values.length === 1 ? each.values : undefined,
    }));
  switch (c.kind) {
    case 'address': {
      if (c.ends.length !== 1) return undefined;
      const [{ side, end }] = c.ends as [TupleEnd];
      if (side === 'original' && end === 'src') return use('flow_src', 'src', c.set);
      return side === 'reply' && end === 'dst' ? use('flow_ext', 'ext', c.set) : undefined;
    }
    case 'natTo':
      if (!c.set) return undefined;
      return c.nat === 'src' ? use('flow_ext', 'ext', c.set) : use('flow_in', 'rsrc', c.set);
    default:
      return undefined;
  }
}

/** A look-up for each range of a set; `undefined` if there are too many. */
function lookups(column: string, named: AddressSet): readonly SqlCondition[] | undefined {
  const set = withoutNames(named);
  if (set.masked.length > 0) return undefined;
  const ranges = [
    ...addressRanges(set),
    ...set.sockets.map(({ address }) => [addressValue(address), addressValue(address)] as const),
  ];
  return ranges.length > MOST_USES ? undefined : ranges.map(([from, to]) => between(column, from, to));
}

/** What the record does not have, and why. */
function refuseUnrecorded(filter: NormalFilter): void {
  if (filter.kind !== 'leaf') {
    for (const part of filter.of) refuseUnrecorded(part);
    return;
  }
  const { condition: c } = filter;
  if (!isUnrecorded(c)) return;
  throw new ValueError(`${JSON.stringify(formatFlowFilter(c))} cannot be asked of the past: that is not recorded`, {
    hint: 'a record has addresses, ports, protocol, times, counters, zone, mark, status, state and translations',
  });
}

const UNRECORDED_NUMBERS: ReadonlySet<string> = new Set(['timeout', 'use', 'secmark', 'vtagOriginal', 'vtagReply', 'role']);
const UNRECORDED_PRESENCES: ReadonlySet<string> = new Set([
  'label',
  'helper',
  'timeout',
  'use',
  'secmark',
  'secctx',
  'master',
  'seqadj',
  'synproxy',
]);

function isUnrecorded(c: FlowCondition): boolean {
  switch (c.kind) {
    case 'label':
    case 'text':
      return true;
    case 'number':
      return UNRECORDED_NUMBERS.has(c.field);
    case 'has':
      return UNRECORDED_PRESENCES.has(c.what);
    case 'address':
    case 'port':
      return c.ends.some(({ side }) => side === 'master');
    default:
      return false;
  }
}

/** Whether a filter asks for the kernel's identifier, which is recorded only if it is asked for. */
export function asksId(filter: FlowFilter): boolean {
  switch (filter.kind) {
    case 'not':
      return asksId(filter.of);
    case 'all':
    case 'any':
      return filter.of.some(asksId);
    case 'number':
      return filter.field === 'id';
    case 'has':
      return filter.what === 'id';
    default:
      return false;
  }
}
