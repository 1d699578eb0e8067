// Sets of numbers and of addresses, as sorted ranges. Two sets that hold the same are written the same.

import { type AddressBytes, prefixMask } from '../address.js';
import { ADDRESS_NAMES, type AddressName } from './address-names.js';

/** Sorted, disjoint and not adjacent: from, to, from, to; both ends in. Whole numbers from 0 to 2^53 - 1. */
export type Ranges = readonly number[];

/** The union of ranges in any order. */
export function rangesOf(pairs: Iterable<readonly [from: number, to: number]>): Ranges {
  const merged: number[] = [];
  for (const [from, to] of [...pairs].sort(([a], [b]) => a - b)) {
    const last = merged.length - 1;
    if (last > 0 && from <= merged[last]! + 1) merged[last] = Math.max(merged[last]!, to);
    else merged.push(from, to);
  }
  return merged;
}

/** The only number there is, `undefined` when there are none or several. */
export function single(ranges: Ranges): number | undefined {
  return ranges.length === 2 && ranges[0] === ranges[1] ? ranges[0] : undefined;
}

/** Whether a number is in. Allocates nothing. */
export function holds(ranges: Ranges, value: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (value <= ranges[i + 1]!) return value >= ranges[i]!;
  return false;
}

/** How many numbers are in. */
export function sizeOf(ranges: Ranges): number {
  let size = 0;
  for (let i = 0; i < ranges.length; i += 2) size += ranges[i + 1]! - ranges[i]! + 1;
  return size;
}

/** All numbers that are in; for sets known to be small. */
export function numbersOf(ranges: Ranges): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) for (let n = ranges[i]!; n <= ranges[i + 1]!; n++) numbers.push(n);
  return numbers;
}

/** Sorted, disjoint and not adjacent ranges of IPv6 addresses as 128-bit numbers. */
export type WideRanges = readonly bigint[];

export function wideRangesOf(pairs: Iterable<readonly [from: bigint, to: bigint]>): WideRanges {
  const merged: bigint[] = [];
  for (const [from, to] of [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const last = merged.length - 1;
    if (last < 0 || from > merged[last]! + 1n) merged.push(from, to);
    else if (to > merged[last]!) merged[last] = to;
  }
  return merged;
}

/** An address with a mask that is no prefix: `(entry & mask) == address`. */
export interface MaskedAddress {
  readonly address: AddressBytes;
  readonly mask: AddressBytes;
}

/** An address and a port of the same end. */
export interface SocketAddress {
  readonly address: AddressBytes;
  readonly port: number;
}

/** Addresses of either family. What is in one of the parts is in. */
export interface AddressSet {
  /** IPv4 addresses as numbers. */
  readonly v4: Ranges;
  readonly v6: WideRanges;
  readonly masked: readonly MaskedAddress[];
  readonly sockets: readonly SocketAddress[];
  /** Names of ranges, in the order of NAMED_ADDRESSES. */
  readonly names: readonly AddressName[];
}

export const EMPTY_ADDRESSES: AddressSet = { v4: [], v6: [], masked: [], sockets: [], names: [] };

/** The union, in canonical form. */
export function unionOfAddresses(sets: readonly AddressSet[]): AddressSet {
  return {
    v4: rangesOf(sets.flatMap(({ v4 }) => pairsOf(v4))),
    v6: wideRangesOf(sets.flatMap(({ v6 }) => pairsOf(v6))),
    masked: distinct(
      sets.flatMap(({ masked }) => masked),
      ({ address, mask }) => `${address}/${mask}`,
    ),
    sockets: distinct(
      sets.flatMap(({ sockets }) => sockets),
      ({ address, port }) => `${address}:${port}`,
    ),
    names: ADDRESS_NAMES.filter((name) => sets.some(({ names }) => names.includes(name))),
  };
}

/** Ranges one by one. */
export function pairsOf<T>(flat: readonly T[]): (readonly [T, T])[] {
  const pairs: (readonly [T, T])[] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!]);
  return pairs;
}

/** Without repetitions, in an order of their own. */
function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const found = new Map(items.map((item) => [keyOf(item), item]));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}

/** One address, or those that a mask leaves: `(entry & mask) == (address & mask)`. */
export function addressSet(address: AddressBytes, mask?: AddressBytes): AddressSet {
  if (mask && !isPrefix(mask)) return { ...EMPTY_ADDRESSES, masked: [{ address: masked(address, mask), mask }] };
  const first = mask ? masked(address, mask) : address;
  const last = mask ? first.map((byte, i) => byte | (~mask[i]! & 0xff)) : address;
  return addressRange(first, last);
}

/** From one address to another of its family, both ends in. */
export function addressRange(first: AddressBytes, last: AddressBytes): AddressSet {
  return first.length === 4
    ? { ...EMPTY_ADDRESSES, v4: [toNumber(first), toNumber(last)] }
    : { ...EMPTY_ADDRESSES, v6: [toBigInt(first), toBigInt(last)] };
}

export function socketSet(address: AddressBytes, port: number): AddressSet {
  return { ...EMPTY_ADDRESSES, sockets: [{ address, port }] };
}

export function namedSet(name: AddressName): AddressSet {
  return { ...EMPTY_ADDRESSES, names: [name] };
}

function masked(address: AddressBytes, mask: AddressBytes): AddressBytes {
  return address.map((byte, i) => byte & mask[i]!);
}

function isPrefix(mask: AddressBytes): boolean {
  const length = mask.reduce((sum, byte) => sum + popCount(byte), 0);
  return prefixMask(length, mask.length).every((byte, i) => byte === mask[i]);
}

function popCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Whether bits outside the mask are set: `10.1.2.3/8`. */
export function hasHostBits(address: AddressBytes, mask: AddressBytes): boolean {
  return address.some((byte, i) => (byte & ~mask[i]!) !== 0);
}

/** The 32 bits of an IPv4 address. */
export function toNumber(address: AddressBytes): number {
  return ((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0;
}

export function toBigInt(address: AddressBytes): bigint {
  let value = 0n;
  for (const byte of address) value = (value << 8n) | BigInt(byte);
  return value;
}

export function ipv4Of(value: number): AddressBytes {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

export function ipv6Of(value: bigint): AddressBytes {
  const bytes = new Uint8Array(16);
  for (let i = 15, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** Range of one family: first, last, and the length of the prefix that it is, if it is one. */
export interface AddressRange {
  readonly first: AddressBytes;
  readonly last: AddressBytes;
  readonly prefix: number | undefined;
}

/** The ranges of a set, IPv4 first. */
export function rangesOfAddresses({ v4, v6 }: Pick<AddressSet, 'v4' | 'v6'>): AddressRange[] {
  return [
    ...pairsOf(v4).map(([first, last]) => ({
      first: ipv4Of(first),
      last: ipv4Of(last),
      prefix: prefixOf(BigInt(first), BigInt(last), 32),
    })),
    ...pairsOf(v6).map(([first, last]) => ({ first: ipv6Of(first), last: ipv6Of(last), prefix: prefixOf(first, last, 128) })),
  ];
}

function prefixOf(first: bigint, last: bigint, bits: number): number | undefined {
  const size = last - first + 1n;
  if ((size & (size - 1n)) !== 0n || (first & (size - 1n)) !== 0n) return undefined;
  return bits - (size.toString(2).length - 1);
}

/** The addresses of a set one by one, if they are no more than `most` and it has nothing but addresses. */
export function singleAddresses(set: AddressSet, most: number): readonly AddressBytes[] | undefined {
  if (set.masked.length + set.sockets.length + set.names.length > 0) return undefined;
  const ranges = rangesOfAddresses(set);
  const found: AddressBytes[] = [];
  for (const { first, last } of ranges) {
    const from = toBigInt(first);
    const size = toBigInt(last) - from + 1n;
    if (size > BigInt(most - found.length)) return undefined;
    for (let n = 0n; n < size; n++) found.push(first.length === 4 ? ipv4Of(Number(from + n)) : ipv6Of(from + n));
  }
  return found;
}
