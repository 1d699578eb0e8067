// Random messages for the decoder: attribute trees of roughly the right shape, damaged fixtures, plain noise.

import type { Random } from '../support/random.js';

/** Numbers that matter: limits of widths, sizes and kinds. */
const INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 127, 128, 255, 256, 0x3fff, 0x7fff, 0x8000, 0xfffc, 0xffff];
/** Highest attribute number of a nest that is worth trying; a few above are unknown ones. */
const HIGHEST = 35;

/** A message with a header and a random tree of attributes, some of them wrong. */
export function randomTree(random: Random): Uint8Array {
  const body: number[] = [];
  const count = random.below(12);
  // Mostly sound: with an error in every attribute, nothing after the first would ever be reached.
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
    for (
      let i = random.pick([0, 1, 1, 2, 2, 3, 4, 4, 4, 5, 8, 8, 16, 16, 17, random.below(random.chance(0.1) ? 300 : 40)]);
      i > 0;
      i--
    )
      out.push(randomByte(random));
  const honest = out.length - start;
  const length = random.chance(honesty) ? honest : random.chance(0.5) ? random.pick(INTERESTING) : honest + random.below(9) - 4;
  out[start] = length & 0xff;
  out[start + 1] = (length >> 8) & 0xff;
  if (random.chance(0.97)) while (out.length % 4 !== 0) out.push(random.chance(0.9) ? 0 : random.below(256));
}

/** Often a byte with a meaning for a string, an address or a counter. */
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

/** A sound message with one to eight defects: flipped bits, changed lengths, parts cut out, doubled or swapped. */
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

/** Where an attribute of a sound message is. */
interface Attribute {
  /** Its header, the end of its value, and that of its padding. */
  readonly at: number;
  readonly end: number;
  readonly next: number;
  /** It holds attributes. */
  readonly nest: boolean;
  /** Headers of the attributes around it, whose lengths it is part of. */
  readonly around: readonly number[];
}

const NESTED = 0x8000;
const FIRST = 20;
const HEADER = 4;
const known = new WeakMap<Uint8Array, readonly Attribute[]>();

/**
 * A sound message, changed as a tree: values, kinds of attributes, attributes left out, doubled, moved, taken from `other`. All lengths
 * are right, so that the decoder reaches what follows the change.
 */
export function rebuilt(random: Random, original: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = original.slice();
  const list = attributesOf(original);
  if (list.length === 0) return bytes;
  // Values first, in their places.
  for (let changes = random.below(5); changes > 0; changes--) {
    const one = random.pick(list);
    if (random.chance(0.1)) bytes[one.at + 2] = random.below(HIGHEST);
    else if (!one.nest) changeValue(random, bytes, one.at + HEADER, one.end);
  }
  if (random.chance(0.4)) bytes = restructured(random, bytes, list, other);
  if (random.chance(0.1)) bytes[4 + random.below(16)] = randomByte(random);
  return bytes;
}

/** One attribute left out, doubled, moved, given another value, or one of `other` beside it. */
function restructured(random: Random, bytes: Uint8Array, list: readonly Attribute[], other: Uint8Array): Uint8Array {
  const { at, next, nest, around } = random.pick(list);
  const whole = bytes.subarray(at, next);
  const strangers = attributesOf(other);
  switch (random.below(5)) {
    case 0:
      return replaced(bytes, at, next, new Uint8Array(), around);
    case 1:
      return replaced(bytes, at, at, whole, around);
    case 2: {
      const target = random.pick(list);
      return replaced(bytes, target.at, target.at, whole, target.around);
    }
    case 3: {
      if (strangers.length === 0) return bytes;
      const stranger = random.pick(strangers);
      return replaced(bytes, at, at, other.subarray(stranger.at, stranger.next), around);
    }
    default: {
      if (nest) return bytes;
      const value = otherValue(random);
      const made = replaced(bytes, at + HEADER, next, joined(value, new Uint8Array(-value.length & 3)), around);
      putLength(made, at, HEADER + value.length);
      return made;
    }
  }
}

/** `bytes` with others from `from` to `to`; the message and the attributes around count them. */
function replaced(bytes: Uint8Array, from: number, to: number, by: Uint8Array, around: readonly number[]): Uint8Array {
  const made = joined(bytes.subarray(0, from), by, bytes.subarray(to));
  const more = by.length - (to - from);
  for (const header of around) putLength(made, header, made[header]! + (made[header + 1]! << 8) + more);
  putLength(made, 0, made.length);
  return made;
}

function putLength(bytes: Uint8Array, at: number, length: number): void {
  bytes[at] = length & 0xff;
  bytes[at + 1] = (length >> 8) & 0xff;
}

function attributesOf(message: Uint8Array): readonly Attribute[] {
  let list = known.get(message);
  if (!list) {
    list = walk(message, FIRST, message.length, []);
    known.set(message, list);
  }
  return list;
}

function walk(bytes: Uint8Array, from: number, to: number, around: readonly number[]): Attribute[] {
  const list: Attribute[] = [];
  for (let at = from; at + HEADER <= to; ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    const type = bytes[at + 2]! | (bytes[at + 3]! << 8);
    const end = at + length;
    if (length < HEADER || end > to) break;
    const next = Math.min((end + 3) & ~3, bytes.length);
    const nest = (type & NESTED) !== 0;
    list.push({ at, end, next, nest, around });
    if (nest) list.push(...walk(bytes, at + HEADER, end, [...around, at]));
    at = next;
  }
  return list;
}

/** Of the same length: a decoder that has seen the layout before must look at the value. */
function changeValue(random: Random, bytes: Uint8Array, from: number, to: number): void {
  const plain = random.pick([0, 0xff, undefined, undefined]);
  for (let at = from; at < to; at++) bytes[at] = plain ?? randomByte(random);
  // A number of one byte in front of or behind others that are all alike.
  if (plain !== undefined && to > from) bytes[random.pick([from, to - 1])] = randomByte(random);
}

/** Often a string, as long as those of the kernel can be or longer, with or without its NUL. */
function otherValue(random: Random): Uint8Array {
  if (random.chance(0.3)) return Uint8Array.from({ length: random.below(40) }, () => randomByte(random));
  const length = random.pick([1, 15, 16, 17, 63, 300]);
  const piece = random.pick(TEMPTING);
  return Uint8Array.from(Buffer.from(piece.repeat(length)).subarray(0, length + random.below(2)));
}

/** Text that other formats could misread, and characters beyond ASCII, cut anywhere. */
const TEMPTING = [']]>', '&amp;', '<', '"', '\\', '\n', '\x01', '\x85', '\uffff', '\u00fc', '\ud83d\ude00', '%s', 'ftp '];

/** Random bytes. */
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
