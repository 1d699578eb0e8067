// Random messages for the decoder: attribute trees of roughly the right shape, damaged fixtures, plain noise.

import type { Random } from '../support/random.js';

/** Numbers that decide something: limits of widths, sizes and kinds. */
const INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 127, 128, 255, 256, 0x3fff, 0x7fff, 0x8000, 0xfffc, 0xffff];
/** Highest attribute number of a nest that is worth trying; a few above are unknown ones. */
const HIGHEST = 35;

/** A message with a header and a random tree of attributes, some of them wrong. */
export function randomTree(random: Random): Uint8Array {
  const body: number[] = [];
  const count = random.below(12);
  // Mostly sound: with a lie in every attribute nothing below the first would ever be reached.
  const honesty = random.pick([1, 1, 0.99, 0.9, 0.5]);
  for (let i = 0; i < count; i++) pushAttribute(body, random, 0, honesty);
  if (random.chance(0.2)) for (let i = random.below(4); i > 0; i--) body.push(random.below(256));
  return message(random, body);
}

function pushAttribute(out: number[], random: Random, depth: number, honesty: number): void {
  const start = out.length;
  const type = random.chance(0.95) ? random.below(HIGHEST) : random.below(0x4000);
  const nested = depth < 4 && random.chance(depth === 0 ? 0.6 : 0.5);
  const flags = nested ? (random.chance(0.8) ? 0x8000 : 0) : random.chance(0.05) ? 0x4000 : 0;
  out.push(0, 0, (type | flags) & 0xff, (type | flags) >> 8);
  if (nested) for (let i = random.below(6); i > 0; i--) pushAttribute(out, random, depth + 1, honesty);
  else
    for (let i = random.pick([0, 1, 1, 2, 2, 3, 4, 4, 4, 5, 8, 8, 16, 16, 17, random.below(300)]); i > 0; i--)
      out.push(randomByte(random));
  const honest = out.length - start;
  const length = random.chance(honesty) ? honest : random.chance(0.5) ? random.pick(INTERESTING) : honest + random.below(9) - 4;
  out[start] = length & 0xff;
  out[start + 1] = (length >> 8) & 0xff;
  if (random.chance(0.97)) while (out.length % 4 !== 0) out.push(random.chance(0.9) ? 0 : random.below(256));
}

/** Often a byte that a string, an address or a counter makes something of. */
function randomByte(random: Random): number {
  if (random.chance(0.3)) return random.pick([0, 0, 1, 0xff, 0x7f, 0x80]);
  if (random.chance(0.2)) return random.pick([...'<>&"\'\n\t ;ab0'].map((text) => text.charCodeAt(0)));
  return random.below(256);
}

/** nlmsghdr and nfgenmsg in front of attributes. */
export function message(random: Random, body: readonly number[]): Uint8Array {
  const length = 20 + body.length;
  const type = random.pick([0x100, 0x100, 0x102, 0x200, 0x202, 0x103, 0x104, random.below(0x10000)]);
  const flags = random.pick([0, 2, 0x600, random.below(0x10000)]);
  const family = random.pick([2, 2, 10, 10, 0, random.below(256)]);
  const port = random.chance(0.5) ? [0, 0, 0, 0] : Array.from({ length: 4 }, () => random.below(256));
  const head = [length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff, 0, type & 0xff, type >> 8, flags & 0xff, flags >> 8];
  return Uint8Array.from([...head, 1, 0, 0, 0, ...port, family, 0, random.below(256), random.below(256), ...body]);
}

/** A sound message with one to eight wounds: flipped bits, changed lengths, parts cut out, doubled or swapped. */
export function damaged(random: Random, original: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let wounds = 1 + random.below(8); wounds > 0 && bytes.length > 0; wounds--) {
    const at = random.below(bytes.length);
    const aligned = at & ~3;
    const size = Math.min(bytes.length - at, 1 + random.below(64));
    switch (random.below(8)) {
      case 0:
      case 1:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 2:
        bytes[at] = random.below(256);
        break;
      case 3: {
        const value = random.pick(INTERESTING);
        bytes[aligned] = value & 0xff;
        if (aligned + 1 < bytes.length) bytes[aligned + 1] = value >> 8;
        break;
      }
      case 4:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + size));
        break;
      case 5:
        bytes = joined(bytes.subarray(0, aligned), bytes.subarray(at, at + size), bytes.subarray(aligned));
        break;
      case 6:
        bytes = joined(bytes.subarray(0, aligned), other.subarray(20 + random.below(Math.max(1, other.length - 20))));
        break;
      case 7:
        bytes = bytes.slice(0, random.chance(0.5) ? at : Math.max(0, bytes.length - 1 - random.below(3)));
        break;
    }
  }
  return bytes;
}

/** Nothing but chance. */
export function noise(random: Random): Uint8Array {
  const bytes = new Uint8Array(random.below(random.chance(0.02) ? 70_000 : 512));
  for (let i = 0; i < bytes.length; i++) bytes[i] = randomByte(random);
  return bytes;
}

/** Several messages one after another, with answers of the netlink layer among them, as one datagram. */
export function datagram(random: Random, sequence: number, messages: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = random.below(5); i > 0; i--) {
    const part = random.chance(0.5) ? answer(random) : random.pick(messages).slice();
    if (part.length >= 12)
      part.set(random.chance(0.85) ? [(sequence + random.below(2)) & 0xff, sequence >> 8, 0, 0] : [9, 9, 9, 9], 8);
    parts.push(part, new Uint8Array(-part.length & 3));
  }
  const whole = joined(...parts);
  return random.chance(0.4) ? damaged(random, whole, answer(random)) : whole;
}

/** NLMSG_ERROR or NLMSG_DONE, with or without the extended acknowledgement. */
function answer(random: Random): Uint8Array {
  const errno = random.pick([0, -1, -2, -16, -22, -95, -105, 1, random.below(65536), -random.below(65536)]);
  const inner = random.pick([20, 20, random.below(64), random.below(65536), -random.below(64)]);
  const out: number[] = [0, 0, 0, 0, random.pick([2, 2, 3, 1, 4]), 0, 0, random.pick([0, 1, 2, 3]), 1, 0, 0, 0, 0, 0, 0, 0];
  for (const value of [errno, inner]) for (let shift = 0; shift < 32; shift += 8) out.push((value >> shift) & 0xff);
  for (let i = random.pick([0, 4, 12, 16, random.below(64)]); i > 0; i--) out.push(randomByte(random));
  for (let i = random.below(4); i > 0; i--) pushAttribute(out, random, 4, 0.8);
  out[0] = out.length & 0xff;
  out[1] = out.length >> 8;
  return Uint8Array.from(out);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
