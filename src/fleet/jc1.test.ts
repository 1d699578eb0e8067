import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { columnTextsOf } from '../history/column-texts.js';
import type { SqliteRow, SqliteValue } from '../history/driver/sqlite.js';
import { type ColumnRow, RECORD_COLUMNS } from '../history/record-columns.js';
import type { PartHead } from '../history/record-parts.js';
import { FleetError } from './fleet-error.js';
import { decodeRecords, encodeRecords, type ShippedRecords } from './jc1.js';

const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;
const HEAD: PartHead = {
  recorder: '4d5a5a5e-0000-4000-8000-000000000001',
  first: 1,
  since: 0,
  alive: 1,
  netns: [],
  gaps: [],
  clock: [],
};

const time = fc.integer({ min: 0, max: 4e15 });
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const text = fc.string({ maxLength: 40 });

const VALUES: Readonly<Record<ColumnRow['kind'], fc.Arbitrary<SqliteValue>>> = {
  number: orNull(fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
  address: orNull(
    fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }) as fc.Arbitrary<SqliteValue>,
    ),
  ),
  counter: orNull(fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }).map(String), fc.constant('-1'))),
};
const row: fc.Arbitrary<SqliteRow> = fc.record(
  Object.fromEntries(COLUMNS.map(({ name, kind }) => [name, name === 'start' || name === 'dur' ? time : VALUES[kind]] as const)),
);
const head: fc.Arbitrary<PartHead> = fc.record(
  {
    recorder: fc.constantFrom(HEAD.recorder, `${HEAD.recorder}.2`),
    first: fc.integer({ min: 1, max: 2 ** 50 }),
    since: time,
    alive: time,
    openFrom: time,
    filter: text,
    netns: fc.array(fc.tuple(fc.nat(), text), { maxLength: 3 }),
    gaps: fc.array(
      fc.record(
        {
          id: fc.maxSafeNat(),
          ns: orNull(fc.nat()),
          from: time,
          to: time,
          first: fc.integer({ min: 1 }),
          lost: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 9 })),
          reason: text,
          events: orNull(fc.nat()),
          note: orNull(text),
        },
        { requiredKeys: ['id', 'ns', 'from', 'to', 'first', 'reason', 'events', 'note'] },
      ),
      { maxLength: 3 },
    ),
    clock: fc.array(
      fc.record({ at: time, before: orNull(time), after: orNull(time), delta: orNull(fc.integer()), class: orNull(text) }),
      { maxLength: 3 },
    ),
    offset: fc.tuple(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    ),
  },
  { requiredKeys: ['recorder', 'first', 'since', 'alive', 'netns', 'gaps', 'clock'] },
);

/** As SQLite has a row that was sent: a counter that is no safe number is one of 64 bits. */
function asRow({ columns }: ShippedRecords, n: number): SqliteRow {
  return Object.fromEntries(COLUMNS.map(({ name }, place) => [name, columns[place]?.[n] ?? null]));
}

function expected(sent: SqliteRow): SqliteRow {
  return Object.fromEntries(
    COLUMNS.map(({ name }) => {
      const value = sent[name] ?? null;
      return [name, typeof value === 'string' ? BigInt(value) : value];
    }),
  );
}

test('what was sent is read, value by value', () => {
  fc.assert(
    fc.property(head, fc.array(row, { maxLength: 20 }), (told, rows) => {
      const read = decodeRecords(encodeRecords(told, columnTextsOf(rows)));
      const { count, columns, unknown, ...rest } = read;
      assert.deepEqual([count, unknown], [rows.length, 0]);
      assert.deepEqual(JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(told)));
      for (const [n, sent] of rows.entries()) assert.deepEqual(asRow(read, n), expected(sent));
    }),
    { numRuns: 300 },
  );
});

test('columns of which all values are equal cost one, and those without any cost nothing', () => {
  const rows = Array.from({ length: 500 }, (_, n) => ({ start: 1e15 + n * 7, dur: 3, src: n, proto: 17 }));
  const body = encodeRecords(HEAD, columnTextsOf(rows));
  const { cols } = JSON.parse(new TextDecoder().decode(body));
  assert.deepEqual(Object.keys(cols), ['end', 'dur', 'src', 'proto']);
  assert.deepEqual([cols.dur, cols.proto, cols.end[0], cols.end[1]], [3, 17, 1e15 + 3, 7]);
});

test('a row without times, which only a damaged file has, is sent as it is', () => {
  const read = decodeRecords(
    encodeRecords(
      HEAD,
      columnTextsOf([
        { start: null, dur: 1 },
        { start: 5, dur: null },
      ]),
    ),
  );
  assert.deepEqual([asRow(read, 0)['start'], asRow(read, 1)['start'], asRow(read, 1)['dur']], [null, 5, null]);
});

test('a value for all of no records is read', () => {
  const told = (more: object) => new TextEncoder().encode(JSON.stringify({ v: 1, ...HEAD, n: 0, ...more }));
  const { count, columns } = decodeRecords(told({ cols: { src: 'AAAAAAAAAAAAAAAAAAAAAA==' } }));
  assert.deepEqual([count, columns.filter((column) => column !== undefined)], [0, [[]]]);
});

test('columns of a newer version are left out and counted', () => {
  const told = JSON.parse(new TextDecoder().decode(encodeRecords(HEAD, columnTextsOf([{ start: 1, dur: 1 }]))));
  const read = decodeRecords(
    new TextEncoder().encode(JSON.stringify({ ...told, cols: { ...told.cols, country: ['NL'] }, later: 1 })),
  );
  assert.deepEqual([read.unknown, read.count], [1, 1]);
});

/** Decodes hostile bytes: a typed error, or a message within its bounds. */
function decodeHostile(body: Uint8Array): void {
  try {
    const { count, columns, gaps, clock, netns } = decodeRecords(body);
    assert.ok(count <= 4000 && gaps.length <= 1000 && clock.length <= 1000 && netns.length <= 1000);
    for (const column of columns) assert.ok(column === undefined || column.length === count);
  } catch (error) {
    assert.ok(error instanceof FleetError, String(error));
    assert.equal(error.code, 'ENCODING');
    assert.ok(error.message.length < 200);
  }
}

test('hostile bodies are a typed error, or what they say within its bounds', () => {
  const good = encodeRecords(
    {
      ...HEAD,
      gaps: [{ id: 1, ns: null, from: 1, to: 2, first: 1, reason: 'overrun', events: 3, note: null }],
      netns: [[1, 'blue']],
    },
    columnTextsOf(
      Array.from({ length: 5 }, (_, n) => ({ start: 1e15 + n, dur: n, src: n, dst: new Uint8Array(16), ob: '9007199254740993' })),
    ),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(good.length),
      (edits, cut) => {
        const body = good.slice();
        for (const [at, byte] of edits) body[at] = byte;
        decodeHostile(body);
        decodeHostile(body.subarray(0, cut));
      },
    ),
    { numRuns: 2000 },
  );
  const json = JSON.parse(new TextDecoder().decode(good));
  const values = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(-1, 1e300, 2 ** 53, '', [], {}, { toString: null }, null, [[]], 'x'.repeat(1000)),
  );
  const paths = [
    ...Object.keys(json).map((name) => [name]),
    ...Object.keys(json.cols).map((name) => ['cols', name]),
    ['gaps', '0', 'id'],
    ['gaps', '0', 'lost'],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...paths), values, (path, value) => {
      const changed = structuredClone(json);
      let at = changed;
      for (const name of path.slice(0, -1)) at = at[name];
      at[path.at(-1)!] = value;
      decodeHostile(new TextEncoder().encode(JSON.stringify(changed)));
    }),
    { numRuns: 2000 },
  );
});

test('what would cost more than it may is refused before it does', () => {
  const told = (more: object) => new TextEncoder().encode(JSON.stringify({ v: 1, ...HEAD, n: 0, cols: {}, ...more }));
  for (const more of [
    { n: 4001 },
    { n: 1e9, cols: { src: 1 } },
    { n: 2, cols: { src: [1] } },
    { first: Number.MAX_SAFE_INTEGER, n: 1 },
    { gaps: new Array(1001).fill({}) },
    { recorder: '../../etc' },
    { recorder: 'x'.repeat(36) },
    { n: 1, cols: { ob: '99999999999999999999' } },
    { n: 1, cols: { ob: '9223372036854775808' } },
    { n: 1, cols: { end: [1] } },
    { n: 2, cols: { end: [9e15, 9e15], dur: 0 } },
  ])
    assert.throws(() => decodeRecords(told(more)), { code: 'ENCODING' }, JSON.stringify(more).slice(0, 60));
  assert.throws(() => decodeRecords(new Uint8Array((4 << 20) + 1)), { code: 'ENCODING' });
});

test('the body of version 1 is read for ever', () => {
  const fixture = JSON.parse(
    readFileSync(fileURLToPath(new URL('../../../test/fixtures/records.jc1.json', import.meta.url)), 'utf8'),
  );
  const read = decodeRecords(new TextEncoder().encode(JSON.stringify(fixture.body)));
  assert.deepEqual(
    Array.from({ length: read.count }, (_, n) =>
      Object.fromEntries(
        Object.entries(asRow(read, n)).map(([name, value]) => [
          name,
          typeof value === 'object' && value ? [...value] : typeof value === 'bigint' ? String(value) : value,
        ]),
      ),
    ),
    fixture.rows,
  );
});
