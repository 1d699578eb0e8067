// Addresses and networks of questions: text ↔ what columns are compared with.

import { type AddressBytes, formatAddress, parseAddress, prefixMask } from '../ctnetlink/address.js';
import { addressRange } from '../ctnetlink/filter/sets.js';
import { ValueError } from '../errors.js';
import type { SqliteValue } from './driver/sqlite.js';
import { addressRanges, any, between, type SqlCondition } from './sql-condition.js';

/** An address, or a network: with how many of its bits count. */
export interface Network {
  readonly address: AddressBytes;
  readonly prefix?: number | undefined;
}

/** From values of a column to others, both in. */
export type AddressSpan = readonly (readonly [SqliteValue, SqliteValue])[];

/** ADDRESS or ADDRESS/LENGTH. @throws ValueError */
export function parseNetwork(text: string): Network {
  const [host, length, ...more] = text.split('/');
  const address = parseAddress(host!);
  if (!address || more.length > 0) throw noAddress(text);
  const bits = address.length * 8;
  if (length !== undefined && !(/^\d{1,3}$/.test(length) && Number(length) <= bits))
    throw new ValueError(`${JSON.stringify(text)} is no network: the length of its prefix is 0 to ${bits}`);
  const prefix = length === undefined ? undefined : Number(length);
  if (!isMapped(address) || (prefix !== undefined && prefix < MAPPED_BITS)) return { address, prefix };
  return { address: address.subarray(12), prefix: prefix === undefined ? undefined : prefix - MAPPED_BITS };
}

/** An address of a question. @throws ValueError */
export function parseOne(text: string): AddressBytes {
  const address = parseAddress(text);
  if (!address) throw noAddress(text);
  return isMapped(address) ? address.subarray(12) : address;
}

/** Servers write IPv4 clients of a socket of both families so: `::ffff:203.0.113.50`. No packet has such an address. */
function isMapped(address: AddressBytes): boolean {
  return address.length === 16 && MAPPED.every((byte, n) => address[n] === byte);
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const MAPPED_BITS = 96;

export function formatNetwork({ address, prefix }: Network): string {
  return prefix === undefined ? formatAddress(address) : `${formatAddress(address)}/${prefix}`;
}

/** What a column has of a network. */
export function spansOf({ address, prefix = address.length * 8 }: Network): AddressSpan {
  const mask = prefixMask(prefix, address.length);
  return addressRanges(
    addressRange(
      address.map((byte, i) => byte & mask[i]!),
      address.map((byte, i) => byte | (0xff & ~mask[i]!)),
    ),
  );
}

/** Whether a column has one of these. */
export function within(column: string, spans: AddressSpan): SqlCondition {
  return any(spans.map(([from, to]) => between(column, from, to)));
}

function noAddress(text: string): ValueError {
  return new ValueError(`${JSON.stringify(text)} is no address`, {
    hint: 'such as 203.0.113.50, 2001:db8::1, and with a port 203.0.113.50:32768, [2001:db8::1]:443',
  });
}
