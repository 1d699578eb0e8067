// Netlink messages: finding them in a datagram, and building them: nlmsghdr, nfgenmsg and attributes appended to one growing buffer.

import { DecodeError, ValueError } from '../errors.js';
import { host16, host32, putBe16, putBe32, putHost16, putHost32 } from './bytes.js';
import { NLA_F_NESTED, NLA_HDRLEN, NLMSG_HDRLEN } from './uapi/netlink.js';
import { NFGENMSG_LEN } from './uapi/nfnetlink.js';

/** Rounds a length up to the 4 bytes that messages and attributes are aligned to. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/**
 * Length of the message at `at`; a header must fit before `end`. The next message begins `align4` of that length later. 0 if the header
 * gives an impossible length: less than its own, or past `end`.
 */
export function messageLength(bytes: Uint8Array, at: number, end: number): number {
  const length = host32(bytes, at);
  return length < NLMSG_HDRLEN || at + length > end ? 0 : length;
}

/** As `messageLength`, but throws for an impossible length. The error contains `name`. @throws DecodeError */
export function checkedMessageLength(bytes: Uint8Array, at: number, end: number, name: string): number {
  const length = messageLength(bytes, at, end);
  if (length === 0) throw new DecodeError(`${name}: bad message length ${host32(bytes, at)}`, at);
  return length;
}

/**
 * Appends messages one after another. Reuse it: `reset()` starts again in the same memory.
 * `begin` … attributes … `end` makes one message; `nest` … `endNest` one nested attribute.
 */
export class MessageWriter {
  bytes: Uint8Array;
  length = 0;
  #message = 0;

  constructor(capacity = 512) {
    this.bytes = new Uint8Array(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  /** Opens a message. `type` is `subsystem << 8 | message`. Source: struct nlmsghdr, struct nfgenmsg. */
  begin(type: number, flags: number, sequence: number, family: number, version = 0): void {
    this.#reserve(NLMSG_HDRLEN + NFGENMSG_LEN);
    const at = this.length;
    this.#message = at;
    this.#zero(at, at + NLMSG_HDRLEN + NFGENMSG_LEN);
    putHost16(this.bytes, at + 4, type);
    putHost16(this.bytes, at + 6, flags);
    putHost32(this.bytes, at + 8, sequence);
    this.bytes[at + 16] = family;
    this.bytes[at + 17] = version;
    this.length = at + NLMSG_HDRLEN + NFGENMSG_LEN;
  }

  /** Appends a message that is complete, or the beginning of one: `bytes` from `at` to `end`. */
  append(bytes: Uint8Array, at = 0, end: number = bytes.length): void {
    this.#reserve(end - at);
    this.bytes.set(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end), this.length);
    this.length += end - at;
  }

  /** Adds flags to the message that `begin` opened last. */
  addFlags(flags: number): void {
    putHost16(this.bytes, this.#message + 6, host16(this.bytes, this.#message + 6) | flags);
  }

  /** Closes the message that `begin` opened. */
  end(): void {
    putHost32(this.bytes, this.#message, this.length - this.#message);
  }

  u8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.bytes[at] = value;
  }

  /** Two bytes side by side, such as struct nf_ct_tcp_flags. */
  pair8(type: number, first: number, second: number): void {
    const at = this.#attribute(type, 2);
    this.bytes[at] = first;
    this.bytes[at + 1] = second;
  }

  be16(type: number, value: number): void {
    const at = this.#attribute(type, 2); // may replace this.bytes
    putBe16(this.bytes, at, value);
  }

  be32(type: number, value: number): void {
    const at = this.#attribute(type, 4); // may replace this.bytes
    putBe32(this.bytes, at, value);
  }

  host32(type: number, value: number): void {
    const at = this.#attribute(type, 4); // may replace this.bytes
    putHost32(this.bytes, at, value);
  }

  be64(type: number, value: bigint): void {
    const at = this.#attribute(type, 8);
    putBe32(this.bytes, at, Number((value >> 32n) & 0xffffffffn));
    putBe32(this.bytes, at + 4, Number(value & 0xffffffffn));
  }

  /** A number up to 2^53, as `be64`. */
  amount64(type: number, value: number): void {
    const at = this.#attribute(type, 8);
    putBe32(this.bytes, at, Math.floor(value / 4294967296));
    putBe32(this.bytes, at + 4, value % 4294967296);
  }

  /** Raw bytes: addresses, label words. */
  raw(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length); // may replace this.bytes
    this.bytes.set(value, at);
  }

  /** A value copied from elsewhere, such as a received message. */
  copy(type: number, from: Uint8Array, start: number, size: number): void {
    const at = this.#attribute(type, size);
    for (let i = 0; i < size; i++) this.bytes[at + i] = from[start + i]!;
  }

  /** A NUL-terminated string. */
  string(type: number, value: string): void {
    const encoded = new TextEncoder().encode(value);
    const at = this.#attribute(type, encoded.length + 1);
    this.bytes.set(encoded, at);
    this.bytes[at + encoded.length] = 0;
  }

  /** Opens a nested attribute. @returns its position, for `endNest` */
  nest(type: number): number {
    return this.#attribute(type | NLA_F_NESTED, 0) - NLA_HDRLEN;
  }

  endNest(position: number): void {
    checkLength(this.length - position);
    putHost16(this.bytes, position, this.length - position);
  }

  /** Appends an attribute header and room for its value, padded with zeros. @returns where the value goes */
  #attribute(type: number, size: number): number {
    checkLength(NLA_HDRLEN + size);
    this.#reserve(NLA_HDRLEN + align4(size));
    const at = this.length;
    putHost16(this.bytes, at, NLA_HDRLEN + size);
    putHost16(this.bytes, at + 2, type);
    this.length = at + NLA_HDRLEN + align4(size);
    this.#zero(at + NLA_HDRLEN + size, this.length);
    return at + NLA_HDRLEN;
  }

  /** A loop, because a call of fill() costs more for a few bytes. */
  #zero(from: number, to: number): void {
    for (let i = from; i < to; i++) this.bytes[i] = 0;
  }

  #reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + size));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/**
 * The length of an attribute has 16 bits: a longer value would overflow it, and its tail would be read as other attributes. @throws
 * ValueError
 */
function checkLength(length: number): void {
  if (length > 0xffff) throw new ValueError(`an attribute cannot have ${length} bytes: 65535 is the most`);
}
