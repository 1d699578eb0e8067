// Flows of records on their way to who asks for them: the columns of jc1, and for each flow whose record and which file it is of. The other
// side has rows as SQLite has them, so that one set of writers serves both.

import { columnTextsOf } from '../history/column-texts.js';
import type { SqliteRow } from '../history/driver/sqlite.js';
import { type FoundRow, nameOf } from '../history/flow-search.js';
import { type ColumnRow, RECORD_COLUMNS } from '../history/record-columns.js';
import type { ReadableSegment } from '../history/record-directory.js';
import { addressIn } from '../history/row-messages.js';
import { FleetError } from './fleet-error.js';
import { decodeColumns, isRecorder, withColumns } from './jc1.js';
import { objectOf } from './json-object.js';
import { MAX_BODY } from './nl1.js';
import { isName } from './subjects.js';

/** Rows of one message. */
export const MOST_PAST_ROWS = 1000;
const MOST_PLACES = MOST_PAST_ROWS;
const MOST_TEXT = 300;
const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;

/** A flow of a record of a fleet. */
export interface SentRow extends FoundRow {
  readonly host: string;
  /** What collectors call the record. */
  readonly recorder: string;
}

/** Flows as a body. Their order is kept. */
export function encodePastRows(rows: readonly SentRow[]): Uint8Array {
  const places = new Map<string, { readonly index: number; readonly place: readonly [string, string, string] }>();
  const names = new Map<string, number>();
  const place = rows.map(({ host, recorder, segment }) => {
    const key = `${host} ${recorder} ${segment.file.name}`;
    const known = places.get(key) ?? { index: places.size, place: [host, recorder, segment.file.name] };
    places.set(key, known);
    return known.index;
  });
  const netns = rows.map(({ segment, row }) => {
    const name = nameOf(segment, row);
    if (name === undefined) return null;
    const index = names.get(name) ?? names.size;
    names.set(name, index);
    return index;
  });
  const told = JSON.stringify({
    v: 1,
    n: rows.length,
    places: [...places.values()].map((each) => each.place),
    place,
    netns: [...names.keys()],
    ns: netns,
    seq: rows.map(({ row, open }) => (open ? null : row['seq'])),
    seen: rows.map(({ row, open }) => (open ? row['seen'] : null)),
  });
  return withColumns(told, columnTextsOf(rows.map(({ row }) => row)));
}

/** @throws FleetError `ENCODING` for what is no such body */
export function decodePastRows(body: Uint8Array): SentRow[] {
  const told = objectOf(body, MAX_BODY);
  if (!told) throw wrong('no object');
  const { v, n: count, cols } = told;
  if (v !== 1) throw wrong(typeof v === 'number' ? `version ${v}` : 'no version');
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MOST_PAST_ROWS) throw wrong('n');
  if (typeof cols !== 'object' || cols === null || Array.isArray(cols)) throw wrong('no columns');
  const list = (name: string, length?: number): readonly unknown[] => {
    const value = told[name];
    if (!Array.isArray(value) || value.length > MOST_PLACES || (length !== undefined && value.length !== length))
      throw wrong(name);
    return value;
  };
  const namespaces = new Map(list('netns').map((name, index) => [index, textIn(name, 'netns')]));
  const places = list('places').map((each) => placeIn(each, namespaces));
  const [place, ns, seq, seen] = ['place', 'ns', 'seq', 'seen'].map((name) => list(name, count)) as [
    unknown[],
    unknown[],
    unknown[],
    unknown[],
  ];
  const { columns } = decodeColumns(cols as Readonly<Record<string, unknown>>, count);
  const rows: SentRow[] = [];
  for (let n = 0; n < count; n++) {
    const from = places[wholeIn(place[n], 'place', places.length - 1)]!;
    const open = seq[n] === null;
    const row: Record<string, SqliteRow[string]> = open ? { seen: wholeIn(seen[n], 'seen') } : { seq: wholeIn(seq[n], 'seq') };
    for (let at = 0; at < COLUMNS.length; at++) {
      const { name } = COLUMNS[at]!;
      // A flow that lives has no duration: that is how its message is told from others.
      if (open && name === 'dur') continue;
      row[name] = columns[at]?.[n] ?? null;
    }
    row['ns'] = ns[n] === null ? null : wholeIn(ns[n], 'ns', namespaces.size - 1);
    if (!addressIn(row['src']) || typeof row['start'] !== 'number' || (!open && typeof row['dur'] !== 'number'))
      throw wrong('a flow');
    rows.push({ ...from, row, open });
  }
  return rows;
}

function placeIn(told: unknown, namespaces: ReadonlyMap<number, string>): Pick<SentRow, 'host' | 'recorder' | 'segment'> {
  const [host, recorder, name, ...more] = Array.isArray(told) ? (told as unknown[]) : [];
  if (!isName(host) || typeof recorder !== 'string' || !isRecorder(recorder) || more.length > 0) throw wrong('places');
  // What readers of rows look at of a segment.
  const segment = { file: { name: textIn(name, 'places') }, namespaces } as unknown as ReadableSegment;
  return { host, recorder, segment };
}

function wholeIn(told: unknown, name: string, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof told === 'number' && Number.isSafeInteger(told) && told >= 0 && told <= most) return told;
  throw wrong(name);
}

function textIn(told: unknown, name: string): string {
  if (typeof told === 'string' && told.length <= MOST_TEXT) return told;
  throw wrong(name);
}

function wrong(what: string): FleetError {
  return new FleetError('ENCODING', `that is no body of past flows: ${what}`);
}
