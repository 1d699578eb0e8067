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
  if (length === undefined) return { address };
  if (!(/^\d{1,3}$/.test(length) && Number(length) <= bits))
    throw new ValueError(`${JSON.stringify(text)} is no network: the length of its prefix is 0 to ${bits}`);
  return { address, prefix: Number(length) };
}

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

export function noAddress(text: string): ValueError {
  return new ValueError(`${JSON.stringify(text)} is no address`, {
    hint: 'such as 203.0.113.50, 2001:db8::1, and with a port 203.0.113.50:32768, [2001:db8::1]:443',
  });
}
