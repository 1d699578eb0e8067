// Multi-byte reads and writes on bytes. Netlink headers are in host order, most values in network order. The hot path of an entry reads
// and writes with a DataView of the same memory, which takes the order as an argument.

import { LITTLE_ENDIAN as HOST_IS_LITTLE_ENDIAN } from './byte-order.js';

/** A constant of this module, which the compiler folds; an imported one is looked up at each read. */
const LITTLE_ENDIAN = HOST_IS_LITTLE_ENDIAN;
/** The host's order, by name. */
export const HOST_BYTE_ORDER = LITTLE_ENDIAN ? 'little' : 'big';

/** Unsigned 16 bits in network order. */
export function be16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Unsigned 32 bits in network order. */
export function be32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Unsigned 64 bits in network order. Allocates: not for hot paths. */
export function be64(bytes: Uint8Array, at: number): bigint {
  const high = be32(bytes, at);
  const low = be32(bytes, at + 4);
  // Most are exact as a double: one bigint instead of four.
  return high <= 0x1fffff ? BigInt(high * 4294967296 + low) : (BigInt(high) << 32n) | BigInt(low);
}

/** Unsigned 16 bits in the host's order. */
export function host16(bytes: Uint8Array, at: number): number {
  return LITTLE_ENDIAN ? bytes[at]! | (bytes[at + 1]! << 8) : be16(bytes, at);
}

/** Unsigned 32 bits in the host's order. */
export function host32(bytes: Uint8Array, at: number): number {
  return LITTLE_ENDIAN
    ? (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    : be32(bytes, at);
}

/** As `host16`, in one load. */
export function dataHost16(data: DataView, at: number): number {
  return data.getUint16(at, LITTLE_ENDIAN);
}

/** As `host32`, in one load. */
export function dataHost32(data: DataView, at: number): number {
  return data.getUint32(at, LITTLE_ENDIAN);
}

/** Signed 32 bits in the host's order. */
export function hostSigned32(bytes: Uint8Array, at: number): number {
  return host32(bytes, at) | 0;
}

const NO_WORDS = new Int32Array(0);

/**
 * The same memory as machine words. Only compare them with each other: their values depend on the host. Empty if the bytes do not begin
 * at a multiple of 4.
 */
export function machineWords(bytes: Uint8Array): Int32Array {
  return bytes.byteOffset & 3 ? NO_WORDS : new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/** Reverses the bytes of an unsigned 32-bit number on little-endian hosts: turns a `host32` into the `be32` of the same bytes. */
export function networkToHost32(value: number): number {
  return LITTLE_ENDIAN ? ((value >>> 24) | ((value >>> 8) & 0xff00) | ((value << 8) & 0xff0000) | (value << 24)) >>> 0 : value;
}

export function putBe16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function putBe32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function putHost16(bytes: Uint8Array, at: number, value: number): void {
  if (LITTLE_ENDIAN) {
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
  } else putBe16(bytes, at, value);
}

export function putHost32(bytes: Uint8Array, at: number, value: number): void {
  putBe32(bytes, at, networkToHost32(value));
}

/** A pointer, as the msghdr and iovec structures of a 64-bit or 32-bit host hold it. */
export function putPointer(bytes: Uint8Array, at: number, address: bigint, pointerSize: number): void {
  const low = Number(address & 0xffffffffn);
  if (pointerSize === 4) putHost32(bytes, at, low);
  else {
    const high = Number(address >> 32n);
    putHost32(bytes, at, LITTLE_ENDIAN ? low : high);
    putHost32(bytes, at + 4, LITTLE_ENDIAN ? high : low);
  }
}

const BILLION = 1_000_000_000;

/** `floor(v / 10^9)` of the unsigned 64-bit `v` given as two halves of 32 bits, signed or not: exact, and without a bigint. */
export function billions(high: number, low: number): number {
  const top = high >>> 0;
  // Long division in 16-bit steps, so that every product stays below 2^53.
  const middle = (top % BILLION) * 65536 + (low >>> 16);
  const rest = (middle % BILLION) * 65536 + (low & 0xffff);
  return Math.floor(top / BILLION) * 4294967296 + Math.floor(middle / BILLION) * 65536 + Math.floor(rest / BILLION);
}

/** `v % 10^9` of the unsigned 64-bit `v` given as two halves. */
export function belowBillion(high: number, low: number): number {
  const middle = ((high >>> 0) % BILLION) * 65536 + (low >>> 16);
  return ((middle % BILLION) * 65536 + (low & 0xffff)) % BILLION;
}
