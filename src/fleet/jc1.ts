// jc1: records as they travel from a host to collectors: columns in JSON, which any language reads. A body says whose records these are,
// where they stand in the order of that recorder, what it knows to lack, and up to when it knows everything.

import { type ColumnTexts, constantText, LETTERS, PADDING } from '../history/column-texts.js';
import type { SqliteValue } from '../history/driver/sqlite.js';
import { type ColumnRow, RECORD_COLUMNS } from '../history/record-columns.js';
import type { PartGap, PartHead, RecordPart } from '../history/record-parts.js';
import { FleetError } from './fleet-error.js';
import { objectOf } from './json-object.js';
import { MAX_BODY } from './nl1.js';

/** Records in one message. */
export const MOST_RECORDS = 4000;
/** Gaps, clock readings and names of network namespaces in one message. */
export const MOST_ASIDES = 1000;
const MOST_TEXT = 500;

/** A message, read. */
export interface ShippedRecords extends RecordPart {
  /** Columns that a newer version has: they were left out. */
  readonly unknown: number;
}

const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;
const [START, DUR] = ['start', 'dur'].map((name) => COLUMNS.findIndex((column) => column.name === name)) as [number, number];
/** Instead of `start`: the first end as it is, then differences, which are small. */
const END = 'end';
const encoder = new TextEncoder();

/** A body of records. */
export function encodeRecords(head: PartHead, records: ColumnTexts): Uint8Array {
  const { gaps, clock, netns, ...rest } = head;
  const told = JSON.stringify({
    v: 1,
    ...rest,
    n: records.count,
    ...(netns.length > 0 ? { netns } : {}),
    ...(gaps.length > 0 ? { gaps } : {}),
    ...(clock.length > 0 ? { clock } : {}),
  });
  return withColumns(told, records);
}

/** The bytes of an object of JSON, and of its columns: those of which all values are NULL are left out. */
export function withColumns(object: string, { count, columns }: ColumnTexts): Uint8Array {
  const ends = endsOf(columns[START], columns[DUR]);
  const cols: string[] = [];
  for (const [place, { name }] of COLUMNS.entries()) {
    const text = columns[place];
    if (text === undefined || count === 0) continue;
    cols.push(place === START && ends !== undefined ? `"${END}":${ends}` : `"${name}":${columnOf(text, count)}`);
  }
  return encoder.encode(`${object.slice(0, -1)},"cols":{${cols.join()}}}`);
}

/** The first end, then by how much each is later than the one before; `undefined` unless all times are whole numbers. */
function endsOf(starts = '[]', durs = '[]'): string | undefined {
  const steps = JSON.parse(starts) as unknown[];
  const spans = JSON.parse(durs) as unknown[];
  let before = 0;
  for (let n = 0; n < steps.length; n++) {
    const [start, dur] = [steps[n], spans[n]];
    if (!isWhole(start) || !isWhole(dur) || !isWhole(start + dur)) return undefined;
    steps[n] = start + dur - before;
    before = start + dur;
  }
  return JSON.stringify(steps);
}

/** All values, or one that all are equal to. */
function columnOf(text: string, count: number): string {
  const value = text.slice(1, count === 1 ? -1 : text.indexOf(','));
  return text === constantText(value, count) ? value : text;
}

/** @throws FleetError `ENCODING` for what is no such body */
export function decodeRecords(body: Uint8Array): ShippedRecords {
  const told = objectOf(body, MAX_BODY);
  if (!told) throw wrong('no object');
  const { v, recorder, n, cols, openFrom, filter, offset } = told;
  if (v !== 1) throw wrong(typeof v === 'number' ? `version ${v}` : 'no version');
  if (typeof recorder !== 'string' || !isRecorder(recorder)) throw wrong('no recorder');
  const count = wholeIn(n, 'n', 0, MOST_RECORDS);
  const first = wholeIn(told['first'], 'first', 1);
  if (!Number.isSafeInteger(first + count)) throw wrong('numbers without an end');
  if (typeof cols !== 'object' || cols === null || Array.isArray(cols)) throw wrong('no columns');
  if (filter !== undefined && (typeof filter !== 'string' || filter.length > 65_536)) throw wrong('filter');
  return {
    recorder,
    first,
    count,
    since: wholeIn(told['since'], 'since'),
    alive: wholeIn(told['alive'], 'alive'),
    ...(openFrom === undefined ? {} : { openFrom: wholeIn(openFrom, 'openFrom') }),
    ...(told['noDestination'] === true ? { noDestination: true } : {}),
    ...(filter === undefined ? {} : { filter }),
    ...(offset === undefined ? {} : { offset: offsetIn(offset) }),
    netns: listIn(told['netns'], 'netns').map((each): [number, string] => {
      const [number, name, ...more] = Array.isArray(each) ? (each as unknown[]) : [];
      if (more.length > 0) throw wrong('netns');
      return [wholeIn(number, 'netns', 0, 2 ** 31), textIn(name, 'netns')];
    }),
    gaps: gapsIn(told['gaps']),
    clock: listIn(told['clock'], 'clock').map((each) => {
      const { at, before, after, delta, class: kind } = objectIn(each, 'clock');
      return {
        at: wholeIn(at, 'clock'),
        before: wholeOrNull(before, 'clock'),
        after: wholeOrNull(after, 'clock'),
        delta: wholeOrNull(delta, 'clock', Number.MIN_SAFE_INTEGER),
        class: textOrNull(kind, 'clock'),
      };
    }),
    ...decodeColumns(cols as Readonly<Record<string, unknown>>, count),
  };
}

/** The recorder of a message, and the start behind which its disk was put back. */
export function isRecorder(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d{1,6})?$/.test(text);
}

/** Values of columns by the places of RECORD_COLUMNS. @throws FleetError `ENCODING` */
export function decodeColumns(
  cols: Readonly<Record<string, unknown>>,
  count: number,
): Pick<ShippedRecords, 'columns' | 'unknown'> {
  const columns = COLUMNS.map((column): SqliteValue[] | undefined => {
    const { name } = column;
    const told = Object.hasOwn(cols, name) ? cols[name] : undefined;
    return told === undefined || told === null ? undefined : valuesIn(told, column, count);
  });
  if (Object.hasOwn(cols, END) && count > 0) {
    const [ends, durs] = [cols[END], columns[DUR]];
    if (!Array.isArray(ends) || ends.length !== count || !durs) throw wrong(END);
    let end = 0;
    columns[START] = ends.map((step: unknown, n): number => {
      end += wholeIn(step, END, Number.MIN_SAFE_INTEGER);
      const start = end - (durs[n] as number);
      if (!isWhole(durs[n]) || !Number.isSafeInteger(end) || !Number.isSafeInteger(start)) throw wrong(END);
      return start;
    });
  }
  const known = new Set([END, ...COLUMNS.map(({ name }) => name)]);
  const unknown = Object.keys(cols).filter((name) => !known.has(name)).length;
  return { columns, unknown };
}

/** A column: an array, or one value for all records. */
function valuesIn(told: unknown, column: ColumnRow, count: number): SqliteValue[] {
  if (!Array.isArray(told)) return new Array<SqliteValue>(count).fill(valueIn(told, column, new AddressStore(1)));
  const store = new AddressStore(count);
  if (told.length !== count) throw wrong(`${told.length} values of ${column.name} for ${count} records`);
  // In place: it is nobody else's.
  const values = told as SqliteValue[];
  for (let n = 0; n < count; n++) {
    const value = values[n];
    if (typeof value === 'number' ? !Number.isSafeInteger(value) : value !== null) values[n] = valueIn(value, column, store);
  }
  return values;
}

const INTEGER = /^-?\d{1,19}$/;

function valueIn(value: unknown, { name, kind }: ColumnRow, store: AddressStore): SqliteValue {
  if (value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (typeof value === 'string') {
    const address = kind === 'address' ? store.add(value) : undefined;
    if (address) return address;
    // SQLite has signed numbers of 64 bits.
    if (kind === 'counter' && INTEGER.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) return BigInt(value);
  }
  throw wrong(`a value of ${name}`);
}

const ADDRESS_SIZE = 16;
/** The six bits of a letter of Base64, by its code. */
const NO_LETTER = 64;
const SIX_BITS = new Uint8Array(128).fill(NO_LETTER);
for (const [bits, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  SIX_BITS[letter.charCodeAt(0)] = bits;

/** Addresses of a column, in one piece of memory: SQLite takes a small array that has its own only after giving it another. */
class AddressStore {
  readonly #most: number;
  #bytes: Uint8Array | undefined;
  #end = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** 16 bytes in Base64; `undefined` for what is something else. Most bodies have three in each record. */
  add(text: string): Uint8Array | undefined {
    if (text.length !== LETTERS + PADDING.length || !text.endsWith(PADDING)) return undefined;
    this.#bytes ??= new Uint8Array(this.#most * ADDRESS_SIZE);
    const bytes = this.#bytes;
    let to = this.#end;
    let bits = 0;
    let seen = 0;
    for (let n = 0; n < LETTERS; n++) {
      const code = text.charCodeAt(n);
      const six = code < SIX_BITS.length ? SIX_BITS[code]! : NO_LETTER;
      seen |= six;
      bits = (bits << 6) | six;
      // Of each four letters, all but the first complete a byte.
      if ((n & 3) !== 0) bytes[to++] = bits >> (6 - 2 * (n & 3));
    }
    if (seen >= NO_LETTER) return undefined;
    const address = new Uint8Array(bytes.buffer, this.#end, ADDRESS_SIZE);
    this.#end = to;
    return address;
  }
}

function gapsIn(told: unknown): PartGap[] {
  return listIn(told, 'gaps').map((each) => {
    const { id, ns, from, to, first, lost, reason, events, note } = objectIn(each, 'gap');
    const [lostFirst, lostLast, ...more] = Array.isArray(lost) ? (lost as unknown[]) : [];
    if (lost !== undefined && (more.length > 0 || wholeIn(lostFirst, 'gap', 1) > wholeIn(lostLast, 'gap', 1))) throw wrong('gap');
    return {
      id: wholeIn(id, 'gap'),
      ns: wholeOrNull(ns, 'gap'),
      from: wholeIn(from, 'gap'),
      to: wholeIn(to, 'gap'),
      first: wholeIn(first, 'gap', 1),
      ...(lost === undefined ? {} : { lost: [lostFirst as number, lostLast as number] as const }),
      reason: textIn(reason, 'gap'),
      events: wholeOrNull(events, 'gap'),
      note: textOrNull(note, 'gap'),
    };
  });
}

function offsetIn(told: unknown): [number, number] {
  const [offset, error, ...more] = Array.isArray(told) ? (told as unknown[]) : [];
  const fine = Number.isFinite(offset) && Number.isFinite(error) && more.length === 0;
  if (!fine) throw wrong('offset');
  return [offset as number, Math.abs(error as number)];
}

function listIn(told: unknown, name: string): readonly unknown[] {
  if (told === undefined) return [];
  if (!Array.isArray(told) || told.length > MOST_ASIDES) throw wrong(name);
  return told;
}

function objectIn(told: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof told !== 'object' || told === null) throw wrong(name);
  return told as Readonly<Record<string, unknown>>;
}

function wholeIn(told: unknown, name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof told === 'number' && Number.isSafeInteger(told) && told >= least && told <= most) return told;
  throw wrong(name);
}

function wholeOrNull(told: unknown, name: string, least = 0): number | null {
  return told === null || told === undefined ? null : wholeIn(told, name, least);
}

function textIn(told: unknown, name: string): string {
  if (typeof told === 'string' && told.length <= MOST_TEXT) return told;
  throw wrong(name);
}

function textOrNull(told: unknown, name: string): string | null {
  return told === null || told === undefined ? null : textIn(told, name);
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

function wrong(what: string): FleetError {
  return new FleetError('ENCODING', `that is no body of records: ${what}`);
}
