// IP addresses as bytes: parse the spellings conntrack(8) takes, format canonically. Spellings: docs/behaviour.md 3.2.

import { be16 } from '../wire/bytes.js';
import { AF_INET, AF_INET6 } from './uapi/in.js';

/** 4 bytes for IPv4, 16 for IPv6, in network order. */
export type AddressBytes = Uint8Array;

/** AF_INET or AF_INET6, by length. */
export function familyOf(address: AddressBytes): typeof AF_INET | typeof AF_INET6 {
  return address.length === 4 ? AF_INET : AF_INET6;
}

/** By nfgen_family. */
export function familyName(family: number): 'ipv4' | 'ipv6' | 'unknown' {
  return family === AF_INET ? 'ipv4' : family === AF_INET6 ? 'ipv6' : 'unknown';
}

/** Parses an IPv4 or IPv6 address; `undefined` if it is neither. A colon decides for IPv6. */
export function parseAddress(text: string): AddressBytes | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/**
 * IPv4 the way inet_aton(3) reads it: one to four parts, each decimal, octal (0…) or hexadecimal (0x…); the last part fills
 * the bytes that are left. Unlike inet_aton, text after the address is refused.
 */
function parseIpv4(text: string): AddressBytes | undefined {
  return parseDottedQuad(text) ?? parseLiberalIpv4(text);
}

/** Four decimal parts without leading zeros, as nearly all addresses are written. */
function parseDottedQuad(text: string): AddressBytes | undefined {
  const end = toAscii(text);
  const bytes = new Uint8Array(4);
  return readIpv4(ASCII, 0, end, bytes) === end && end > 0 ? bytes : undefined;
}

/**
 * Reads an IPv4 address of four decimal parts without leading zeros, in ASCII from `at` on, into the first 4 bytes of `address`.
 * @returns where it ends, which is at the first byte that is neither digit nor dot; -1 if it is not such an address
 */
export function readIpv4(text: Uint8Array, at: number, end: number, address: Uint8Array): number {
  let part = 0;
  let value = 0;
  let digits = 0;
  let i = at;
  for (; i < end; i++) {
    const c = text[i]!;
    if (c === DOT) {
      if (digits === 0 || part === 3) return -1;
      address[part++] = value;
      value = digits = 0;
    } else if (c >= ZERO && c <= NINE) {
      if (digits > 0 && value === 0) return -1;
      value = value * 10 + c - ZERO;
      if (value > 255) return -1;
      digits++;
    } else break;
  }
  if (part !== 3 || digits === 0) return -1;
  address[3] = value;
  return i;
}

/** Longer than any address. */
const ASCII = new Uint8Array(64);
const ENCODER = new TextEncoder();

/** Converts the text to ASCII. @returns its length, or 0 if it is too long for an address */
function toAscii(text: string): number {
  const { read, written } = ENCODER.encodeInto(text, ASCII);
  return read === text.length ? written : 0;
}

function parseLiberalIpv4(text: string): AddressBytes | undefined {
  const parts = text.split('.');
  if (parts.length > 4) return undefined;
  const numbers: number[] = [];
  for (const part of parts) {
    if (!/^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.test(part)) return undefined;
    numbers.push(/^0[0-7]+$/.test(part) ? Number.parseInt(part, 8) : Number(part));
  }
  const last = numbers.pop()!;
  if (numbers.some((n) => n > 255) || last >= 256 ** (4 - numbers.length)) return undefined;
  const bytes = new Uint8Array(4);
  bytes.set(numbers);
  for (let i = 3, rest = last; i >= numbers.length; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  return bytes;
}

/** IPv6 as RFC 4291 writes it, optionally with an IPv4 tail; no brackets, no scope. */
function parseIpv6(text: string): AddressBytes | undefined {
  if (text.includes('.')) return withIpv4Tail(text);
  const end = toAscii(text);
  const bytes = new Uint8Array(16);
  return readIpv6(ASCII, 0, end, bytes) === end ? bytes : undefined;
}

/**
 * Reads an IPv6 address without an IPv4 tail, in ASCII from `at` on, into the first 16 bytes of `address`.
 * @returns where it ends, which is at the first byte that is neither hexadecimal digit nor colon; -1 if it is not such an address
 */
export function readIpv6(text: Uint8Array, at: number, end: number, address: Uint8Array): number {
  /** Bytes read; position of the `::`, in bytes. */
  let size = 0;
  let gap = -1;
  let i = at;
  if (i + 1 < end && text[i] === COLON && text[i + 1] === COLON) {
    gap = 0;
    i += 2;
  }
  for (;;) {
    let value = 0;
    const start = i;
    for (; i < end && HEX[text[i]!]! >= 0; i++) value = (value << 4) | HEX[text[i]!]!;
    if (i === start) {
      // No group: allowed only after `::`, and at the end.
      if (gap !== size || (i < end && text[i] === COLON)) return -1;
      break;
    }
    if (i - start > 4 || size === 16) return -1;
    address[size++] = value >> 8;
    address[size++] = value & 0xff;
    if (i >= end || text[i] !== COLON) break;
    if (++i < end && text[i] === COLON) {
      if (gap >= 0) return -1;
      gap = size;
      i++;
    }
  }
  if (gap < 0) return size === 16 ? i : -1;
  if (size > 14) return -1;
  // Loops: for a few bytes, calls of copyWithin() and fill() cost more.
  for (let to = 15, from = size - 1; from >= gap; from--, to--) address[to] = address[from]!;
  for (let to = 15 - (size - gap); to >= gap; to--) address[to] = 0;
  return i;
}

const DOT = 46;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
/** Value of each hexadecimal digit, -1 for other bytes. */
const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

/** The last 32 bits as a dotted IPv4 address: read as two groups. */
function withIpv4Tail(text: string): AddressBytes | undefined {
  const at = text.lastIndexOf(':') + 1;
  const v4 = parseDottedQuad(text.slice(at));
  if (!v4) return undefined;
  const groups = [(v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!].map((group) => group.toString(16));
  return parseIpv6(text.slice(0, at) + groups.join(':'));
}

/** The canonical text: dotted IPv4, or compressed lower-case IPv6 as inet_ntop(3) writes it. */
export function formatAddress(address: AddressBytes): string {
  return address.length === 4 ? address.join('.') : formatIpv6(address, 0);
}

/** As `formatAddress`, for the 16 bytes at `at`: without a copy of them. */
export function formatIpv6(bytes: Uint8Array, at: number): string {
  let zeros = 0;
  for (let i = 0; i < 8; i++) if (be16(bytes, at + 2 * i) === 0) zeros |= 1 << i;
  const run = zeroRun(zeros);
  const start = run >> 4;
  const size = run & 15;
  if (start === 0 && (size === 6 || (size === 5 && be16(bytes, at + 10) === 0xffff)))
    return `${size === 5 ? '::ffff:' : '::'}${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (size > 0 && i === start) {
      text += i + size === 8 ? '::' : ':';
      i += size - 1;
      continue;
    }
    if (i > 0) text += ':';
    text += be16(bytes, at + 2 * i).toString(16);
  }
  return text;
}

/**
 * The run of zero groups that the text of an IPv6 address leaves out, by which groups are zero (bit n: group n): the first longest of
 * two or more, as `start << 4 | length`; 0 if none.
 */
export function zeroRun(zeros: number): number {
  let best = 0;
  let bestLength = 1;
  let length = 0;
  for (let i = 0; i < 8; i++) {
    length = (zeros >> i) & 1 ? length + 1 : 0;
    if (length > bestLength) {
      bestLength = length;
      best = ((i + 1 - length) << 4) | length;
    }
  }
  return best;
}

/** A mask of `length` one bits for an address of `size` bytes. */
export function prefixMask(length: number, size: number): AddressBytes {
  const mask = new Uint8Array(size);
  for (let i = 0; i < size; i++) mask[i] = (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff;
  return mask;
}
