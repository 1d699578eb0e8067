// Random event messages of every kind as the kernel lays them out (docs/kernel.md 3.12), with the values of random-filter.ts.
// Built byte by byte, apart from src/.

import type { Random } from './random.js';
import { POOL } from './random-filter.js';

const le16 = (value: number) => [value & 0xff, (value >> 8) & 0xff];
const be16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const be32 = (value: number) => [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
const be64 = (value: bigint) => [...be32(Number((value >> 32n) & 0xffffffffn)), ...be32(Number(value & 0xffffffffn))];

function attribute(type: number, payload: readonly number[]): number[] {
  const padding = new Array<number>((4 - (payload.length % 4)) % 4).fill(0);
  return [...le16(4 + payload.length), ...le16(type), ...payload, ...padding];
}

const nest = (type: number, ...parts: readonly number[][]) => attribute(type | 0x8000, parts.flat());

interface Side {
  readonly src: readonly number[];
  readonly dst: readonly number[];
  readonly sport: number;
  readonly dport: number;
}

interface Icmp {
  readonly id: number;
  readonly type: number;
  readonly code: number;
}

function protocolPart(protonum: number, side: Side, icmp: Icmp): number[] {
  const number = attribute(1, [protonum]);
  switch (protonum) {
    case 1:
      return nest(2, number, attribute(4, be16(icmp.id)), attribute(5, [icmp.type]), attribute(6, [icmp.code]));
    case 58:
      return nest(2, number, attribute(7, be16(icmp.id)), attribute(8, [icmp.type]), attribute(9, [icmp.code]));
    case 50:
      return nest(2, number);
    default:
      return nest(2, number, attribute(2, be16(side.sport)), attribute(3, be16(side.dport)));
  }
}

function tuple(type: number, protonum: number, side: Side, icmp: Icmp, zone?: number): number[] {
  const first = side.src.length === 16 ? 3 : 1;
  const ip = nest(1, attribute(first, side.src), attribute(first + 1, side.dst));
  return nest(type, ip, protocolPart(protonum, side, icmp), zone === undefined ? [] : attribute(3, be16(zone)));
}

function randomSide(random: Random, v6: boolean): Side {
  const pool = v6 ? POOL.v6 : POOL.v4;
  return { src: random.pick(pool), dst: random.pick(pool), sport: random.pick(POOL.ports), dport: random.pick(POOL.ports) };
}

/** An event of a flow of its own: see `randomFlow`. */
export function randomEvent(random: Random): Uint8Array {
  return randomFlow(random)();
}

/** EXPECTED, CONFIRMED, and those of NAT: what a flow has from its first event on. */
const LASTING = 0x1b9;

/**
 * A flow, as a function that makes NEW, UPDATE and DESTROY events of it. What events may leave out is left out often; what a flow keeps
 * is the same in all of them.
 */
export function randomFlow(random: Random): () => Uint8Array {
  const v6 = random.chance(0.4);
  const protonum = random.pick(POOL.protocols);
  const original = randomSide(random, v6);
  // As without NAT, with one part of NAT, or anything.
  const turned: Side = { src: original.dst, dst: original.src, sport: original.dport, dport: original.sport };
  const other = randomSide(random, v6);
  const reply = random.pick<Side>([turned, turned, { ...turned, dst: other.dst }, { ...turned, sport: other.sport }, other]);
  const icmp = { id: random.pick(POOL.ports), type: random.pick([0, 8, 13]), code: random.below(3) };
  const zone = random.chance(0.3) ? random.pick([1, 2, 7, 65535]) : undefined;
  const zoneOf = random.pick(['both', 'original', 'reply']);
  const id = number(random);
  const lasting = random.below(0x10000) & LASTING;
  const master = tuple(14, random.pick([6, 17, 47]), randomSide(random, v6), icmp);
  const begun = random.pick(POOL.times);
  const begins = [
    ...tuple(1, protonum, original, icmp, zoneOf === 'original' ? zone : undefined),
    ...tuple(2, protonum, reply, icmp, zoneOf === 'reply' ? zone : undefined),
    ...(zone !== undefined && zoneOf === 'both' ? attribute(18, be16(zone)) : []),
    ...attribute(12, be32(id)),
  ];
  return () => {
    const kind = random.pick(['new', 'update', 'destroy'] as const);
    const changes = kind !== 'destroy';
    const may = (probability: number, build: () => number[]) => (random.chance(probability) ? build() : []);
    const body = [
      begins,
      attribute(3, be32(((random.chance(0.1) ? 0xffffffff : random.below(0x10000)) & ~LASTING) | lasting)),
      may(changes ? 0.9 : 0.3, () => attribute(7, be32(number(random)))),
      may(changes ? 0 : 0.7, () => [...counters(random, 9), ...counters(random, 10)]),
      may(changes ? 0 : 0.7, () => timestamps(random, begun)),
      may(0.7, () => protocolInfo(random, protonum)),
      may(changes ? 0.2 : 0, () => nest(5, attribute(1, string(random.pick(['ftp', 'sip', 'other']))))),
      may(changes ? 0.2 : 0, () => nest(19, attribute(1, string(random.pick(POOL.texts))))),
      may(changes ? 0.4 : 0, () => attribute(22, labels(random))),
      may(changes && random.chance(0.5) ? 0.6 : 0, () => master),
      may(changes ? 0.2 : 0, () => [...threeNumbers(random, 15), ...threeNumbers(random, 16)]),
      may(changes ? 0.2 : 0, () => threeNumbers(random, 24)),
      may(0.5, () => attribute(8, be32(random.pick(POOL.marks)))),
      may(0.05, () => attribute(11, be32(number(random)))),
      may(0.05, () => attribute(17, be32(number(random)))),
      may(0.5, () => attribute(27, be64(begun))),
    ].flat();
    const [type, flags] = { new: [0x100, 0x600], update: [0x100, 0], destroy: [0x102, 0] }[kind] as [number, number];
    return Uint8Array.from([
      ...be32(20 + body.length).reverse(),
      ...le16(type),
      ...le16(flags),
      ...ZEROS,
      v6 ? 10 : 2,
      0,
      0,
      0,
      ...body,
    ]);
  };
}

/** Sequence number and port id. */
const ZEROS = [0, 0, 0, 0, 0, 0, 0, 0];

const number = (random: Random) => (random.chance(0.8) ? random.pick(POOL.numbers) : random.below(0x100000000));
const string = (text: string) => [...Buffer.from(`${text}\0`)];

/** Some close to those of filters, some greater than a filter can say. */
function count(random: Random): number[] {
  if (random.chance(0.05)) return be64(0xffffffffffffffffn - BigInt(random.below(2)));
  const near = Math.max(0, random.pick(POOL.counts) + random.pick([0, 0, -1, 1]));
  return be64(BigInt(near) + (random.chance(0.02) ? 1n << 60n : 0n));
}

const counters = (random: Random, type: number) => nest(type, attribute(1, count(random)), attribute(2, count(random)));

function timestamps(random: Random, begun: bigint): number[] {
  const age = BigInt(random.pick([0, 1, 4294, 4295, 60_000, 3_600_000, 90_000_000])) * 1_000_000n + BigInt(random.below(3) - 1);
  // A clock may have been set meanwhile.
  const ended = random.chance(0.05) ? begun - 5n : begun + age;
  return nest(20, attribute(1, be64(begun)), random.chance(0.9) ? attribute(2, be64(ended < 0n ? 0n : ended)) : []);
}

function protocolInfo(random: Random, protonum: number): number[] {
  const state = attribute(1, [random.below(11)]);
  const tag = (type: number) => (random.chance(0.8) ? attribute(type, be32(number(random))) : []);
  switch (protonum) {
    case 6:
      return nest(4, nest(1, state));
    case 33:
      return nest(4, nest(2, state, random.chance(0.8) ? attribute(2, [random.below(2)]) : []));
    case 132:
      return nest(4, nest(3, state, tag(2), tag(3)));
    default:
      return [];
  }
}

function labels(random: Random): number[] {
  const bytes = new Array<number>(16).fill(0);
  for (const bit of random.sample(POOL.labels, random.below(3))) bytes[bit >> 3]! |= 1 << (bit & 7);
  return bytes;
}

/** Adjustments of sequence numbers, or what synproxy keeps: mostly unused. */
function threeNumbers(random: Random, type: number): number[] {
  const one = (n: number) => attribute(n, be32(random.chance(0.6) ? 0 : number(random)));
  return nest(type, one(1), one(2), one(3));
}
