// Records as columns in JSON, which is how they travel. SQLite makes them: a value at a time, handing them over costs three times as much.

import type { SqliteFile, SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type ColumnKind, type ColumnRow, RECORD_COLUMNS } from './record-columns.js';

/** Records, without their numbers. */
export interface ColumnTexts {
  readonly count: number;
  /**
   * By the places of RECORD_COLUMNS: an array of JSON with a value for each record. An IPv4 address is a signed number, an IPv6 address its
   * 16 bytes in Base64; a number beyond 2^53 is a string. Absent: all are NULL.
   */
  readonly columns: readonly (string | undefined)[];
}

/** Records that follow each other. */
export interface ReadTexts extends ColumnTexts {
  /** The number of the first; 0 if there is none. */
  readonly first: number;
  /** Nothing is behind them, neither a record nor a hole. */
  readonly whole: boolean;
}

const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;

/** Values as JSON takes them. */
const AS_JSON: Readonly<Record<ColumnKind, (name: string) => string>> = {
  number: (name) => name,
  address: (name) => `iif(typeof(${name}) = 'blob', hex(${name}), ${name})`,
  counter: (name) =>
    `iif(${name} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}, CAST(${name} AS TEXT), ${name})`,
};
const READ =
  `SELECT count(*), min(seq), max(seq), ${COLUMNS.map(({ name, kind }) => `json_group_array(${AS_JSON[kind](name)})`).join(', ')} ` +
  `FROM (SELECT seq, ${COLUMNS.map(({ name }) => name).join(', ')} FROM flow WHERE seq > ? ORDER BY seq LIMIT ?)`;
/** The last number before a hole. */
const BEFORE_HOLE =
  'SELECT seq FROM flow AS this WHERE seq > ? AND NOT EXISTS (SELECT 1 FROM flow WHERE seq = this.seq + 1) ORDER BY seq LIMIT 1';

/** The records behind a number, at most so many: where some were taken out, they end. @throws errors of the driver */
export function readColumnTexts(file: SqliteFile, after: number, most: number): ReadTexts {
  const [row] = file.prepare(READ).arrays(after, most);
  const [count, first, last, ...texts] = row as [number, number | null, number | null, ...string[]];
  if (first === null || last === null) return { ...columnTextsOf([]), first: 0, whole: true };
  if (last - first + 1 > count) {
    const [end] = file.prepare(BEFORE_HOLE).arrays(after);
    return { ...readColumnTexts(file, after, (end![0] as number) - first + 1), whole: false };
  }
  const nothing = constantText('null', count);
  const columns = texts.map((text, place) => {
    if (text === nothing) return undefined;
    return COLUMNS[place]!.kind === 'address' ? inBase64(text) : text;
  });
  return { count, first, columns, whole: count < most };
}

/** The same value for each record. */
export function constantText(value: string, count: number): string {
  return `[${`${value},`.repeat(count - 1)}${value}]`;
}

/** Records that were read as rows. */
export function columnTextsOf(rows: readonly SqliteRow[]): ColumnTexts {
  const columns = COLUMNS.map(({ name }) => {
    const values = rows.map((row) => jsonValue(row[name] ?? null));
    return values.every((value) => value === null) ? undefined : JSON.stringify(values);
  });
  return { count: rows.length, columns };
}

function jsonValue(value: SqliteValue): number | string | null {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return value;
}

/** An IPv6 address in Base64: its letters, and what is behind them. */
export const LETTERS = 22;
export const PADDING = '==';
/** Its hexadecimal digits, and two bytes behind them with which Base64 of one ends where that of the next begins. */
const DIGITS = 32;
const FILL = '0000';

/** Strings of 32 hexadecimal digits in Base64, all at once. */
function inBase64(text: string): string {
  // Every second part is what was between quotation marks.
  const parts = text.split('"');
  let digits = '';
  for (let n = 1; n < parts.length; n += 2) if (parts[n]!.length === DIGITS) digits += parts[n]! + FILL;
  const letters = Buffer.from(digits, 'hex').toString('base64');
  for (let n = 1, at = 0; n < parts.length; n += 2) {
    if (parts[n]!.length !== DIGITS) continue;
    parts[n] = letters.slice(at, at + LETTERS) + PADDING;
    at += LETTERS + PADDING.length;
  }
  return parts.join('"');
}
