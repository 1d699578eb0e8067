// FlowFilter → the object that callers write: JSON all through, so it can be stored, sent and combined. object-input.ts is the way back.

import { DCCP_ROLES } from '../protocols/dccp.js';
import { gre } from '../protocols/gre.js';
import { protocolByNumber } from '../protocols/index.js';
import { bitName, STATUS_NAMES } from '../status.js';
import { AF_INET } from '../uapi/in.js';
import { addressTexts } from './address-values.js';
import { type FlowCondition, type FlowFilter, MAX_AGE, MAX_COUNT, type NumberField, type TupleEnd } from './condition.js';
import { flatten } from './normal.js';
import { maxOf } from './number-fields.js';
import type { Addresses, Filter, Numbers } from './object-input.js';
import type { AddressSet, Ranges } from './sets.js';
import { formatTime } from './times.js';

/** The object of one test each, in the order of the filter. */
export function toFilter(filter: FlowFilter): Filter {
  return objectOf(flatten(filter)) as Filter;
}

type Plain = Record<string, unknown>;

function objectOf(filter: FlowFilter): Plain {
  switch (filter.kind) {
    case 'all':
      return filter.of.length === 0 ? {} : { all: filter.of.map(objectOf) };
    case 'any':
      return { any: filter.of.map(objectOf) };
    case 'not':
      return { not: objectOf(filter.of) };
    default:
      return conditionObject(filter);
  }
}

function conditionObject(c: FlowCondition): Plain {
  switch (c.kind) {
    case 'family':
      return { family: c.family === AF_INET ? 'ipv4' : 'ipv6' };
    case 'number':
      return numberObject(c.field, c.ranges);
    case 'address':
      return endsObject(c.ends, ['src', 'dst', 'host'], addressesOf(c.set));
    case 'port': {
      const ports = endsObject(c.ends, ['sport', 'dport', 'port'], numbersOf(c.ranges, 0xffff));
      return c.of === 'key' ? { protocol: protocolByNumber(gre.number).name, ...ports } : ports;
    }
    case 'state':
      return { state: oneOrAll(c.names) };
    case 'mark': {
      const value = numbersOf(c.ranges, 0xffffffff);
      return { mark: c.mask === 0xffffffff ? value : { value, mask: c.mask } };
    }
    case 'status':
      return { status: [bitName(STATUS_NAMES, c.bit)] };
    case 'label':
      return c.bits.length === 1 ? { labels: c.bits } : { anyLabel: c.bits };
    case 'nat':
      return c.nat === 'src' ? { srcNat: true } : { dstNat: true };
    case 'natTo': {
      const name = c.nat === 'src' ? 'snatTo' : 'dnatTo';
      const set = c.set && { [name]: addressesOf(c.set) };
      const ports = c.ports && { [name]: { port: numbersOf(c.ports, 0xffff) } };
      return set && ports ? { all: [set, ports] } : (set ?? ports)!;
    }
    case 'counter': {
      const counter = { [c.of]: numbersOf(c.ranges, MAX_COUNT) };
      return c.side === undefined ? counter : { [c.side]: counter };
    }
    case 'age':
      return { age: numbersOf(c.ranges, MAX_AGE, (milliseconds) => milliseconds / 1000) };
    case 'time':
      return {
        [c.of]: {
          ...(c.from !== undefined && { after: formatTime(c.from) }),
          ...(c.before !== undefined && { before: formatTime(c.before) }),
        },
      };
    case 'text':
      return { [c.field]: oneOrAll(c.values) };
    case 'has':
      return { has: c.what };
  }
}

function numberObject(field: NumberField, ranges: Ranges): Plain {
  const value = numbersOf(ranges, maxOf(field));
  switch (field) {
    case 'protocol':
      return { protocol: protocolsOf(ranges) };
    case 'icmpType':
    case 'icmpCode':
    case 'icmpId':
      return { protocol: 'icmp', original: { [field]: value } };
    case 'icmpv6Type':
    case 'icmpv6Code':
    case 'icmpv6Id':
      return { protocol: 'icmpv6', original: { [field.replace('v6', '')]: value } };
    case 'originalZone':
      return { original: { zone: value } };
    case 'replyZone':
      return { reply: { zone: value } };
    case 'vtagOriginal':
    case 'vtagReply':
      return { sctp: { [field]: value } };
    case 'role':
      return ranges[0] === ranges[1]
        ? { dccp: { role: DCCP_ROLES[ranges[0]!] } }
        : { any: DCCP_ROLES.map((role) => ({ dccp: { role } })) };
    case 'zone':
    case 'id':
    case 'timeout':
    case 'use':
    case 'secmark':
      return { [field]: value };
  }
}

/** By name where the library has one. */
function protocolsOf(ranges: Ranges): unknown {
  const numbers: (string | number)[] = [];
  for (let i = 0; i < ranges.length; i += 2)
    for (let n = ranges[i]!; n <= ranges[i + 1]!; n++) {
      const { name, number } = protocolByNumber(n);
      numbers.push(number === n ? name : n);
    }
  return oneOrAll(numbers);
}

function oneOrAll<T>(items: readonly T[]): T | readonly T[] {
  return items.length === 1 ? items[0]! : items;
}

function endsObject(ends: readonly TupleEnd[], [src, dst, both]: readonly [string, string, string], value: unknown): Plain {
  const sides = new Set(ends.map(({ side }) => side));
  if (sides.size > 1) return { [both]: value };
  return { [ends[0]!.side]: { [ends.length > 1 ? both : ends[0]!.end === 'src' ? src : dst]: value } };
}

function numbersOf(ranges: Ranges, max: number, scale: (n: number) => number = (n) => n): Numbers {
  const [from, to] = ranges as readonly [number, number];
  if (ranges.length === 2) {
    if (from === to) return scale(from);
    if (to === max) return { min: scale(from) };
    if (from === 0) return { max: scale(to) };
  }
  const items: (number | readonly [number, number])[] = [];
  for (let i = 0; i < ranges.length; i += 2)
    items.push(ranges[i] === ranges[i + 1] ? scale(ranges[i]!) : [scale(ranges[i]!), scale(ranges[i + 1]!)]);
  return items;
}

function addressesOf(set: AddressSet): Addresses {
  return oneOrAll(addressTexts(set));
}
