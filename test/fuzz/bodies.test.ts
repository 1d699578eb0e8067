// What hosts of a fleet send: bodies of flows, of records and of flows of the past. What was written is read; what is damaged is read
// within its bounds or refused with an error of this package, and nothing is visited of what is refused. How to run it: target.ts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { ConntrackError } from '../../src/errors.js';
import { H, unpackBody } from '../../src/fleet/bodies.js';
import { decodeRecords, encodeRecords, MOST_ASIDES, MOST_RECORDS } from '../../src/fleet/jc1.js';
import { MAX_BODY, MAX_ROWS, Nl1Reader, Nl1Writer } from '../../src/fleet/nl1.js';
import { decodePastRows } from '../../src/fleet/past-rows.js';
import { columnTextsOf } from '../../src/history/column-texts.js';
import type { SqliteRow } from '../../src/history/driver/sqlite.js';
import { RECORD_COLUMNS } from '../../src/history/record-columns.js';
import type { Random } from '../support/random.js';
import { readFixtures } from '../unit/fixture.js';
import { damaged, noise, randomTree } from './messages.js';
import { type Case, fuzz } from './target.js';

const messages = readFixtures().map(({ bytes }) => bytes);
const V1 = JSON.parse(readFileSync(new URL('../../../test/fixtures/fleet-v1.json', import.meta.url), 'utf8'));
const PAST = new TextEncoder().encode(V1.past);

/** Runs what may be refused. @returns whether it was not */
function read(how: () => void): boolean {
  try {
    how();
    return true;
  } catch (error) {
    assert.ok(error instanceof ConntrackError, `not an error of this package: ${(error as Error).stack}`);
    assert.ok(error.message.length < 300, error.message);
    return false;
  }
}

/** Messages as a table has them: many of few sizes, with most bytes in common. */
function alike(random: Random): Uint8Array[] {
  const kinds = Array.from({ length: 1 + random.below(4) }, () =>
    random.chance(0.7) ? random.pick(messages).slice() : randomTree(random),
  ).filter(({ length }) => length >= 20 && length <= 4096);
  if (kinds.length === 0) return [];
  const spots = random.below(12);
  return Array.from({ length: random.below(40) }, () => {
    const one = random.pick(kinds).slice();
    const value = random.below(256);
    for (let n = 0; n < spots; n++)
      one[20 + ((n * 37) % Math.max(1, one.length - 20))] = random.chance(0.6) ? value : random.below(256);
    return one;
  });
}

/** As they arrive: without sequence number, flags and port. */
function sent(message: Uint8Array): Uint8Array {
  const copy = message.slice();
  new DataView(copy.buffer).setUint32(0, copy.length, true);
  copy.fill(0, 6, 16);
  return copy;
}

const reader = new Nl1Reader();
const writer = new Nl1Writer();

fuzz({ name: 'bodies of flows', share: 0.4, sound: 0.3 }, (random): Case => {
  const all = alike(random);
  writer.reset();
  for (const one of all) assert.ok(writer.add(new DataView(one.buffer, one.byteOffset, one.length), 0, one.length));
  const body = writer.body({ columns: random.chance(0.6) }).slice();
  const found: Uint8Array[] = [];
  assert.equal(
    reader.read(body, (bytes, start, end) => found.push(bytes.slice(start, end))),
    all.length,
  );
  assert.deepEqual(found, all.map(sent));
  const hostile = random.chance(0.1) ? noise(random) : damaged(random, body, random.pick(messages));
  let visited = 0;
  const sound = read(() => {
    const rows = reader.read(hostile, (bytes, start, end) => {
      visited++;
      assert.ok(start >= 0 && end - start >= 20 && end <= bytes.length && bytes.length <= 4 * MAX_BODY);
    });
    assert.ok(rows === visited && rows <= MAX_ROWS);
  });
  assert.ok(sound || visited === 0);
  return { executions: 2, sound: 1 + Number(sound) };
});

/** A value of each kind, or none. */
function oneOf(random: Random, kind: string): SqliteRow[string] {
  if (random.chance(0.3)) return null;
  if (kind === 'address' && random.chance(0.4)) return Uint8Array.from({ length: 16 }, () => random.below(256));
  if (kind === 'counter' && random.chance(0.1)) return 2n ** 53n + BigInt(random.below(1000));
  return random.below(2 ** 31) - (kind === 'number' ? 0 : 2 ** 30);
}

fuzz({ name: 'bodies of records', share: 0.3, sound: 0.3 }, (random): Case => {
  const same = random.chance(0.5);
  const first = Object.fromEntries(RECORD_COLUMNS.map(({ name, kind }) => [name, oneOf(random, kind)]));
  const rows = Array.from(
    { length: 1 + random.below(12) },
    (_, n): SqliteRow => ({
      ...(same ? first : Object.fromEntries(RECORD_COLUMNS.map(({ name, kind }) => [name, oneOf(random, kind)]))),
      start: 1.7e15 + n * random.below(1e6),
      dur: random.below(1e6),
    }),
  );
  const recorder = '4d5a5a5e-0000-4000-8000-000000000001';
  const gap = { id: 1, ns: null, from: 1, to: 2, first: 1, reason: 'overrun', events: 3, note: null };
  const head = {
    recorder,
    first: 1 + random.below(1e6),
    since: 0,
    alive: 1,
    netns: [],
    gaps: random.chance(0.3) ? [gap] : [],
    clock: [],
  };
  const body = encodeRecords(head, columnTextsOf(rows));
  const { count, columns } = decodeRecords(body);
  assert.equal(count, rows.length);
  for (const [place, { name }] of RECORD_COLUMNS.entries())
    assert.deepEqual(
      columns[place] ?? rows.map(() => null),
      rows.map((row) => row[name] ?? null),
    );
  const hostile = damaged(random, body, PAST);
  const sound = read(() => {
    const told = decodeRecords(hostile);
    assert.ok(told.count <= MOST_RECORDS && told.gaps.length <= MOST_ASIDES && told.netns.length <= MOST_ASIDES);
    for (const column of told.columns) assert.ok(column === undefined || column.length === told.count);
  });
  return { executions: 2, sound: 1 + Number(sound) };
});

fuzz({ name: 'bodies of flows of the past', share: 0.15, sound: 0.01 }, (random): Case => {
  const sound = read(() => {
    for (const { host, row } of decodePastRows(damaged(random, PAST, PAST)))
      assert.ok(host.length <= 64 && typeof row['start'] === 'number');
  });
  return { executions: 1, sound: Number(sound) };
});

/** Bodies, and one that is larger than any may be. */
const PACKED = [...messages.slice(0, 20), new Uint8Array(6 << 20)].map((body) => new Uint8Array(gzipSync(body, { level: 1 })));

fuzz({ name: 'compressed bodies', share: 0.15, sound: 0.01 }, (random): Case => {
  const packed = random.chance(0.02) ? PACKED.at(-1)! : random.pick(PACKED.slice(0, -1));
  const headers: Readonly<Record<string, string>> = { [H.version]: '1', [H.encoding]: 'nl1', [H.zip]: 'gzip' };
  const data = random.chance(0.1) ? packed : damaged(random, packed, random.pick(messages));
  const sound = read(() => assert.ok(unpackBody({ data, header: (name) => headers[name] }, 'nl1').length <= MAX_BODY));
  return { executions: 1, sound: Number(sound) };
});
