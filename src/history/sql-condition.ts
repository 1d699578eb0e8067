// Conditions of SQL on the columns of a record. Values go as parameters, never as text.

import type { AddressBytes } from '../ctnetlink/address.js';
import { type AddressSet, ipv6Of, pairsOf, toNumber } from '../ctnetlink/filter/sets.js';
import type { SqliteValue } from './driver/sqlite.js';

/** A condition of SQL, and its parameters. */
export interface SqlCondition {
  readonly sql: string;
  readonly values: readonly SqliteValue[];
}

/** Holds for no row. */
export const NEVER: SqlCondition = { sql: '0', values: [] };

/** All of several conditions. */
export function all(parts: readonly SqlCondition[]): SqlCondition {
  return joined('AND', parts);
}

/** One of several conditions. */
export function any(parts: readonly SqlCondition[]): SqlCondition {
  return joined('OR', parts);
}

/** Both conditions. */
export function both(a: SqlCondition | undefined, b: SqlCondition | undefined): SqlCondition | undefined {
  return a && b ? all([a, b]) : (a ?? b);
}

function joined(word: 'AND' | 'OR', parts: readonly SqlCondition[]): SqlCondition {
  if (parts.length === 1) return parts[0]!;
  return { sql: `(${parts.map(({ sql }) => sql).join(` ${word} `)})`, values: parts.flatMap(({ values }) => values) };
}

/** A column, or an expression, has that value. */
export function equals(expression: string, value: SqliteValue): SqlCondition {
  return { sql: `${expression} = ?`, values: [value] };
}

/** One value, or a range of them. */
export function between(column: string, from: SqliteValue, to: SqliteValue): SqlCondition {
  return isSame(from, to) ? equals(column, from) : { sql: `${column} BETWEEN ? AND ?`, values: [from, to] };
}

function isSame(a: SqliteValue, b: SqliteValue): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? a.every((byte, i) => byte === b[i]) : a === b;
}

/** An address as a column has it. */
export function addressValue(address: AddressBytes): SqliteValue {
  return address.length === 4 ? toNumber(address) | 0 : address;
}

/** Ranges as columns have them, in the order of columns: IPv4 is signed there. */
export function addressRanges(set: Pick<AddressSet, 'v4' | 'v6'>): (readonly [SqliteValue, SqliteValue])[] {
  const low: [number, number][] = [];
  const high: [number, number][] = [];
  for (const [from, to] of pairsOf(set.v4)) {
    if (from < HALF) low.push([from, Math.min(to, HALF - 1)]);
    if (to >= HALF) high.push([Math.max(from, HALF) | 0, to | 0]);
  }
  return [...high, ...low, ...pairsOf(set.v6).map(([from, to]) => [ipv6Of(from), ipv6Of(to)] as const)];
}

const HALF = 0x8000_0000;
