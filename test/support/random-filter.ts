// Random filters of every kind of condition, over few values, so that filters and flows meet.

import type { AddressBytes } from '../../src/ctnetlink/address.js';
import { ADDRESS_NAMES } from '../../src/ctnetlink/filter/address-names.js';
import {
  type End,
  type FlowCondition,
  type FlowFilter,
  MAX_COUNT,
  type NumberField,
  PRESENCES,
  type TupleEnd,
} from '../../src/ctnetlink/filter/condition.js';
import { maxOf, NUMBER_FIELDS } from '../../src/ctnetlink/filter/number-fields.js';
import {
  type AddressSet,
  addressRange,
  addressSet,
  namedSet,
  type Ranges,
  rangesOf,
  socketSet,
  unionOfAddresses,
} from '../../src/ctnetlink/filter/sets.js';
import type { Random } from './random.js';

const V4: readonly (readonly number[])[] = [
  [192, 0, 2, 1],
  [192, 0, 2, 200],
  [198, 51, 100, 1],
  [10, 0, 0, 1],
  [10, 0, 255, 255],
  [127, 255, 255, 255],
  [128, 0, 0, 0],
];
const V6: readonly (readonly number[])[] = [
  [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0xfd, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
  [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
];

/** Values that random flows have, too. */
export const POOL = {
  v4: V4,
  v6: V6,
  ports: [0, 1, 22, 53, 80, 443, 8000, 8100, 65535],
  protocols: [1, 6, 17, 33, 47, 50, 58, 132, 136],
  states: ['ESTABLISHED', 'SYN_SENT', 'CLOSE', 'CLOSED', 'OPEN', 'NONE', 'TIME_WAIT', 'NO_SUCH_STATE'],
  numbers: [0, 1, 2, 7, 8, 13, 30, 255, 600, 65535, 0x7fffffff, 0x80000000, 0xffffffff],
  counts: [0, 1, 2, 3, 100, 1000, 1001, 0xffffffff, 0x100000000, 0x100000001, 2 ** 52, MAX_COUNT],
  /** Nanoseconds. */
  times: [0n, 1n, 0xffffffffn, 1_790_000_000_000_000_000n, 1_790_000_003_600_000_000n, 1_790_003_600_000_000_000n],
  /** Milliseconds. */
  ages: [0, 1, 4294, 4295, 8590, 60_000, 3_600_000, 86_400_000, MAX_COUNT],
  marks: [0, 1, 2, 5, 0x10, 0x2a00, 0x80000000, 0xffffffff],
  labels: [0, 1, 6, 31, 32, 63, 64, 100, 127],
  texts: ['ftp', 'sip', 'system_u:object_r:unlabeled_t:s0', ''],
} as const;

const SIDES = ['original', 'original', 'reply', 'reply', 'master'] as const;
const NUMBERS = Object.keys(NUMBER_FIELDS) as NumberField[];

/** One of both ends of one to three places. */
function ends(random: Random): readonly TupleEnd[] {
  const all = SIDES.flatMap((side) => (['src', 'dst'] as const).map((end: End) => ({ side, end })));
  if (random.chance(0.2)) return all.filter(({ side }) => side !== 'master').slice(0, 4);
  return random.sample(all, random.pick([1, 1, 1, 2, 3]));
}

/** Ranges between some numbers of a list, none above `max`. */
function ranges(random: Random, from: readonly number[], max: number): Ranges {
  const known = from.filter((value) => value <= max);
  return rangesOf(
    Array.from({ length: random.pick([1, 1, 2, 3, 9]) }, () => {
      const a = random.pick(known);
      const b = random.chance(0.6) ? a : random.chance(0.2) ? max : random.pick(known);
      const near = random.chance(0.3) ? random.pick([-1, 1]) : 0;
      const [low, high] = [Math.min(a, b) + near, Math.max(a, b) + near];
      return [Math.max(0, Math.min(max, low)), Math.max(0, Math.min(max, high))] as const;
    }),
  );
}

function address(random: Random): AddressBytes {
  const bytes = Uint8Array.from(random.pick(random.chance(0.5) ? POOL.v4 : POOL.v6));
  if (random.chance(0.2)) bytes[random.below(bytes.length)]! ^= 1;
  return bytes;
}

function addresses(random: Random): AddressSet {
  const one = (): AddressSet => {
    const first = address(random);
    switch (random.below(9)) {
      case 0:
        return addressSet(
          first,
          first.map(() => random.pick([0, 0xff, 0xff, 0xf0, 0x55])),
        );
      case 1: {
        const length = random.below(8 * first.length + 1);
        return addressSet(
          first,
          first.map((_, i) => 0xff & ~(0xff >> Math.max(0, Math.min(8, length - 8 * i)))),
        );
      }
      case 2:
      case 3: {
        const last = Uint8Array.from(random.pick(first.length === 4 ? POOL.v4 : POOL.v6));
        return Buffer.compare(first, last) <= 0 ? addressRange(first, last) : addressRange(last, first);
      }
      case 4:
      case 5:
        return socketSet(first, random.pick(POOL.ports));
      case 6:
        return random.chance(0.3) ? namedSet(random.pick(ADDRESS_NAMES)) : addressSet(first);
      default:
        return addressSet(first);
    }
  };
  return unionOfAddresses(Array.from({ length: random.pick([1, 1, 1, 2, 3, 8]) }, one));
}

/** One condition; each kind is as likely as the others, or as those of `kinds`. */
export function randomCondition(random: Random, kinds: readonly FlowCondition['kind'][] = KINDS): FlowCondition {
  const kind = random.pick(kinds);
  switch (kind) {
    case 'family':
      return { kind, family: random.pick([2, 10]) };
    case 'number': {
      const field = random.chance(0.3) ? 'protocol' : random.pick(NUMBERS);
      return { kind, field, ranges: ranges(random, field === 'protocol' ? POOL.protocols : POOL.numbers, maxOf(field)) };
    }
    case 'address':
      return { kind, ends: ends(random), set: addresses(random) };
    case 'port':
      return { kind, ends: ends(random), of: random.chance(0.8) ? 'port' : 'key', ranges: ranges(random, POOL.ports, 0xffff) };
    case 'state':
      return { kind, names: random.sample(POOL.states, 1 + random.below(3)) };
    case 'mark': {
      const mask = random.chance(0.5) ? 0xffffffff : random.pick([1, 0xff, 0xff00, 0x80000000, 0]);
      return { kind, mask, ranges: ranges(random, POOL.marks, 0xffffffff) };
    }
    case 'status':
      return { kind, bit: random.chance(0.1) ? 31 : random.below(16) };
    case 'label':
      return { kind, bits: random.sample(POOL.labels, 1 + random.below(3)) };
    case 'nat':
      return { kind, nat: random.pick(['src', 'dst']) };
    case 'natTo': {
      const which = random.below(3);
      return {
        kind,
        nat: random.pick(['src', 'dst']),
        ...(which !== 0 && { set: addresses(random) }),
        ...(which !== 1 && { ports: ranges(random, POOL.ports, 0xffff) }),
      };
    }
    case 'counter': {
      const side = random.pick(['original', 'reply', undefined] as const);
      return {
        kind,
        of: random.pick(['bytes', 'packets']),
        ...(side && { side }),
        ranges: ranges(random, POOL.counts, MAX_COUNT),
      };
    }
    case 'age':
      return { kind, ranges: ranges(random, POOL.ages, MAX_COUNT) };
    case 'time': {
      const [from, before] = random.sample(POOL.times, 2) as [bigint, bigint];
      const which = random.below(3);
      return { kind, of: random.pick(['start', 'stop']), ...(which !== 0 && { from }), ...(which !== 1 && { before }) };
    }
    case 'text':
      return { kind, field: random.pick(['helper', 'secctx']), values: random.sample(POOL.texts, 1 + random.below(2)) };
    case 'has':
      return { kind, what: random.pick(PRESENCES) };
    default:
      return kind satisfies never;
  }
}

/** Every kind of condition. */
export const KINDS: readonly FlowCondition['kind'][] = Object.keys({
  family: 0,
  number: 0,
  address: 0,
  port: 0,
  state: 0,
  mark: 0,
  status: 0,
  label: 0,
  nat: 0,
  natTo: 0,
  counter: 0,
  age: 0,
  time: 0,
  text: 0,
  has: 0,
} satisfies Record<FlowCondition['kind'], 0>) as FlowCondition['kind'][];

/** A tree of conditions, `depth` levels of combinations at most. */
export function randomFilter(random: Random, depth = 3, kinds: readonly FlowCondition['kind'][] = KINDS): FlowFilter {
  if (depth === 0 || random.chance(0.35)) return randomCondition(random, kinds);
  const part = () => randomFilter(random, depth - 1, kinds);
  if (random.chance(0.3)) return { kind: 'not', of: part() };
  const of = Array.from({ length: random.pick([0, 1, 2, 2, 2, 3, 3, 4]) }, part);
  return { kind: random.chance(0.5) ? 'all' : 'any', of };
}

/** The ends of both directions. */
const FOUR_ENDS = (['original', 'reply'] as const).flatMap((side) =>
  (['src', 'dst'] as const).map((end: End) => ({ side, end })),
);

/** A filter that may make several dumps: a disjunction with addresses of the pools, alone or among other conditions. */
export function randomAlternatives(
  random: Random,
  v4: readonly (readonly number[])[] = POOL.v4,
  v6: readonly (readonly number[])[] = POOL.v6,
): FlowFilter {
  const pool = random.chance(0.8) ? v4 : v6;
  const address = () => addressSet(Uint8Array.from(random.pick(random.chance(0.9) ? pool : v6)));
  const some = () => unionOfAddresses(Array.from({ length: random.pick([1, 1, 2, 3]) }, address));
  const part = (): FlowFilter => {
    const condition: FlowFilter = random.chance(0.2)
      ? { kind: 'natTo', nat: random.pick(['src', 'dst']), set: some() }
      : { kind: 'address', ends: random.sample(FOUR_ENDS, random.pick([1, 1, 1, 2, 4])), set: some() };
    return random.chance(0.6) ? condition : { kind: 'all', of: [randomFilter(random, 1), condition] };
  };
  const any: FlowFilter = { kind: 'any', of: Array.from({ length: random.pick([1, 2, 2, 3]) }, part) };
  return random.chance(0.5) ? any : { kind: 'all', of: [any, randomFilter(random, 1)] };
}
