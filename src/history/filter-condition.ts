// The conditions of a FlowFilter → conditions of SQL on rows of `flow` or `open`. What SQL cannot say exactly lets more rows through.

import { withoutNames } from '../ctnetlink/filter/address-ranges.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { type FlowCondition, MAX_COUNT, type TupleEnd, translatedEnd } from '../ctnetlink/filter/condition.js';
import type { NormalFilter } from '../ctnetlink/filter/normal.js';
import { type AddressSet, pairsOf, type Ranges, toNumber } from '../ctnetlink/filter/sets.js';
import { gre } from '../ctnetlink/protocols/gre.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { AF_INET } from '../ctnetlink/uapi/in.js';
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import { ORIGINAL_ONLY, REPLY_ONLY } from './record-columns.js';
import { addressRanges, addressValue, all, any, between, equals, NEVER, type SqlCondition } from './sql-condition.js';

/** Values of a set that are compared one by one; larger sets are compared by their bounds. */
const MOST_RANGES = 32;

/** Comparisons of a condition: SQLite limits how deep an expression is. */
const MOST_TERMS = 300;

/** What SQL says of a filter: it holds for every wanted row. `undefined`: nothing can be said. @param open of `open`, else of `flow` */
export function filterCondition(filter: NormalFilter, open: boolean): SqlCondition | undefined {
  const condition = conditionOf(filter, open);
  return condition && condition.values.length > 2 * MOST_TERMS ? undefined : condition;
}

function conditionOf(filter: NormalFilter, open: boolean): SqlCondition | undefined {
  if (filter.kind === 'leaf') return leafCondition(filter.condition, filter.wanted, open);
  const parts = filter.of.map((part) => conditionOf(part, open));
  const known = parts.filter((part) => part !== undefined);
  if (filter.kind === 'any') return parts.length === 0 ? NEVER : known.length < parts.length ? undefined : any(known);
  return known.length === 0 ? undefined : all(known);
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
  zone: `(CASE WHEN coalesce(zone, 0) < ${ORIGINAL_ONLY} THEN coalesce(zone, 0) ELSE 0 END)`,
  originalZone: `(CASE WHEN zone BETWEEN ${ORIGINAL_ONLY} AND ${REPLY_ONLY - 1} THEN zone - ${ORIGINAL_ONLY} ELSE 0 END)`,
  replyZone: `(CASE WHEN zone >= ${REPLY_ONLY} THEN zone - ${REPLY_ONLY} ELSE 0 END)`,
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
      return { ...all(parts), exact: false };
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
  return known.length === 0 ? NONE : { ...any(known), exact: known.every((part) => part.exact) };
}

/** `to` of MAX_COUNT stands for all that is greater, too. */
export function inRanges(expression: string, ranges: Ranges, isExact: boolean): LeafSql {
  const few = ranges.length <= 2 * MOST_RANGES;
  const pairs = few ? pairsOf(ranges) : [[ranges[0]!, ranges.at(-1)!] as const];
  const parts = pairs.map(
    ([from, to]): SqlCondition =>
      from === to && to !== MAX_COUNT
        ? equals(expression, from)
        : to === MAX_COUNT
          ? { sql: `${expression} >= ?`, values: [from] }
          : { sql: `${expression} BETWEEN ? AND ?`, values: [from, to] },
  );
  return { ...any(parts), exact: isExact && few };
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
  return parts.length === 0 ? NONE : { ...any(parts), exact: isExact };
}
