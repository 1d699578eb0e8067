// IP addresses as bytes: parse the spellings conntrack(8) takes, format canonically. Spellings: cli.md 3.2.

import { AF_INET, AF_INET6 } from './uapi/in.js';

/** 4 bytes for IPv4, 16 for IPv6, in network order. */
export type AddressBytes = Uint8Array;

/** AF_INET or AF_INET6, by length. */
export function familyOf(address: AddressBytes): typeof AF_INET | typeof AF_INET6 {
  return address.length === 4 ? AF_INET : AF_INET6;
}

/** Parses an IPv4 or IPv6 address; `undefined` when it is neither. A colon decides for IPv6. */
export function parseAddress(text: string): AddressBytes | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/**
 * IPv4 the way inet_aton(3) reads it: one to four parts, each decimal, octal (0…) or hexadecimal (0x…); the last part fills
 * the bytes that are left. Unlike inet_aton, text after the address is refused.
 */
export function parseIpv4(text: string): AddressBytes | undefined {
  return parseDottedQuad(text) ?? parseLiberalIpv4(text);
}

/** Four decimal parts without leading zeros, as nearly all addresses are written. */
function parseDottedQuad(text: string): AddressBytes | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 46) {
      if (digits === 0 || part === 3) return undefined;
      bytes[part++] = value;
      value = 0;
      digits = 0;
    } else {
      if (c < 48 || c > 57 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + c - 48;
      if (value > 255) return undefined;
      digits++;
    }
  }
  if (part !== 3 || digits === 0) return undefined;
  bytes[3] = value;
  return bytes;
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

/** IPv6 as RFC 4291 writes it, with an IPv4 tail where wanted; no brackets, no scope. */
export function parseIpv6(text: string): AddressBytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Colon-separated groups as bytes; the last may be a dotted IPv4 address where `mayEndV4`. */
function parseGroups(text: string, mayEndV4: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (mayEndV4 && i === groups.length - 1 && group.includes('.')) {
      const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(group);
      const v4 = match?.slice(1).map(Number);
      if (!v4 || v4.some((n, j) => n > 255 || String(n) !== match![j + 1])) return undefined;
      bytes.push(...v4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes.length <= 16 ? bytes : undefined;
}

/** The canonical text: dotted IPv4, or compressed lower-case IPv6 as inet_ntop(3) writes it. */
export function formatAddress(address: AddressBytes): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i]! << 8) | address[2 * i + 1]!);
  const { start, length } = longestZeroRun(address, 0);
  if (start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff)))
    return `::${length === 5 ? 'ffff:' : ''}${address.slice(12).join('.')}`;
  if (length === 0) return groups.map((g) => g.toString(16)).join(':');
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(':');
  return `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** The first longest run of two or more zero groups of the IPv6 address at `at`, packed as `start << 4 | length`; 0 if none. */
export function zeroRun(bytes: Uint8Array, at: number): number {
  let best = 0;
  let bestLength = 1;
  let start = 0;
  let length = 0;
  for (let i = 0; i < 8; i++) {
    if (bytes[at + 2 * i] === 0 && bytes[at + 2 * i + 1] === 0) {
      if (length++ === 0) start = i;
      if (length > bestLength) {
        bestLength = length;
        best = (start << 4) | length;
      }
    } else length = 0;
  }
  return best;
}

function longestZeroRun(bytes: Uint8Array, at: number): { start: number; length: number } {
  const run = zeroRun(bytes, at);
  return { start: run >> 4, length: run & 15 };
}

/** A mask of `length` one bits for an address of `size` bytes. */
export function prefixMask(length: number, size: number): AddressBytes {
  const mask = new Uint8Array(size);
  for (let i = 0; i < size; i++) mask[i] = (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff;
  return mask;
}
