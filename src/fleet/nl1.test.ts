import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../errors.js';
import { putHost16, putHost32 } from '../wire/bytes.js';
import { MAX_ROWS, Nl1Reader, Nl1Writer } from './nl1.js';

/** A message of a list: its length, and bytes. */
function message(size: number, fill: (at: number) => number): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, at) => fill(at));
  putHost32(bytes, 0, size);
  putHost16(bytes, 6, 0);
  putHost32(bytes, 8, 0);
  putHost32(bytes, 12, 0);
  return bytes;
}

function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function written(messages: readonly Uint8Array[], columns = false): Uint8Array {
  const writer = new Nl1Writer();
  for (const one of messages) assert.ok(writer.add(dataOf(one), 0, one.length));
  return writer.body({ columns });
}

function read(body: Uint8Array, reader = new Nl1Reader()): Uint8Array[] {
  const rows: Uint8Array[] = [];
  assert.equal(
    reader.read(body, (bytes, start, end) => rows.push(bytes.slice(start, end))),
    rows.length,
  );
  return rows;
}

const messages = fc.array(
  fc.tuple(fc.integer({ min: 20, max: 400 }), fc.nat(255)).map(([size, seed]) => message(size, (at) => (at * 31 + seed) & 0xff)),
  { maxLength: 200 },
);

/** Of few sizes, and with few values. */
const alike = fc.array(
  fc
    .tuple(fc.constantFrom(20, 21, 24, 247), fc.nat(2), fc.nat(3))
    .map(([size, seed, place]) => message(size, (at) => (at % 5 === place ? seed : at & 0xff))),
  { maxLength: 100 },
);

test('what was written is read, in its order', () => {
  const reader = new Nl1Reader();
  fc.assert(
    fc.property(fc.oneof(messages, alike), fc.boolean(), (all, columns) => {
      assert.deepEqual(read(written(all, columns), reader), all);
    }),
    { numRuns: 400 },
  );
});

test('what all messages of a size have in common stands in a body once', () => {
  const all = Array.from({ length: 100 }, (_, n) => message(40, (at) => (at === 20 || at === 23 ? n : at)));
  const body = written(all, true);
  // Header, one group, the first message, a bit for each byte, of two bytes the columns of which they are copies, a column.
  assert.equal(body.length, 8 + 6 + 40 + 5 + 2 + 100);
  assert.deepEqual(body.subarray(14, 54), all[0]);
  assert.deepEqual([...body.subarray(54, 61)], [0, 0, 0b1001_0000, 0, 0, 0, 1]);
  assert.deepEqual(
    [...body.subarray(61)],
    all.map((_, n) => n),
  );
  assert.deepEqual(read(body), all);
  // What stands in the first message where there is a column does not matter.
  body[14 + 20] = 255;
  assert.deepEqual(read(body), all);
});

test('columns that are equal stand in a body once, also beyond those that can be told', () => {
  // Bytes from 20 on: of 300 columns that differ, each is there again later.
  const all = Array.from({ length: 40 }, (_, n) =>
    message(640, (at) => (at < 20 ? 0 : (n * n + 7 * n * ((at - 20) % 300)) & 0xff)),
  );
  const body = written(all, true);
  const alone = new Set(
    Array.from({ length: 620 }, (_, k) => all.map((one) => one[20 + k]).join()).filter((text) => !/^(\d+)(,\1)*$/.test(text)),
  );
  assert.ok(alone.size > 200, `${alone.size} columns`);
  assert.deepEqual(read(body), all);
  assert.ok(body.length < 640 * 40 * 0.6, `${body.length} bytes`);
});

test('a part of what was written is a body of its own', () => {
  const all = Array.from({ length: 50 }, (_, n) => message(20 + 4 * (n % 7), (at) => (at + n) & 0xff));
  const writer = new Nl1Writer();
  for (const one of all) writer.add(dataOf(one), 0, one.length);
  assert.deepEqual([...read(writer.body({ to: 17 })), ...read(writer.body({ from: 17, to: 50 }))], all);
});

test('messages of lists lose sequence number, flags and port, those of events only the sequence number', () => {
  const sent = Uint8Array.from({ length: 24 }, () => 0xff);
  putHost32(sent, 0, 24);
  for (const kind of ['list', 'events'] as const) {
    const writer = new Nl1Writer(kind);
    writer.add(dataOf(sent), 0, 24);
    const [row] = read(writer.body());
    assert.deepEqual([...row!.subarray(6, 12)], kind === 'events' ? [255, 255, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0]);
    assert.deepEqual([...row!.subarray(12, 16)], kind === 'events' ? [255, 255, 255, 255] : [0, 0, 0, 0]);
    assert.deepEqual([...row!.subarray(16)], Array(8).fill(255));
  }
});

test('a full writer takes no more until it is reset', () => {
  const writer = new Nl1Writer();
  const one = message(20, () => 1);
  for (let n = 0; n < MAX_ROWS; n++) assert.ok(writer.add(dataOf(one), 0, 20));
  assert.equal(writer.add(dataOf(one), 0, 20), false);
  assert.equal(writer.rows, MAX_ROWS);
  writer.reset();
  assert.ok(writer.add(dataOf(one), 0, 20));
  // Too many sizes, and too many bytes, are full as well.
  writer.reset();
  for (let n = 0; n < 255; n++) assert.ok(writer.add(dataOf(message(20 + n, () => 1)), 0, 20 + n));
  assert.equal(writer.add(dataOf(message(300, () => 1)), 0, 300), false);
  assert.ok(writer.add(dataOf(one), 0, 20));
  writer.reset();
  const large = message(4096, () => 7);
  let rows = 0;
  while (writer.add(dataOf(large), 0, 4096)) rows++;
  assert.equal(rows, 768);
  assert.equal(read(writer.body()).length, 768);
});

test('sizes that no message has are refused', () => {
  for (const size of [0, 19, 4097]) assert.throws(() => new Nl1Writer().add(dataOf(new Uint8Array(8192)), 0, size), DecodeError);
});

/** Version 1, for ever. */
const FIXTURE =
  '0101020005000000' + // version 1, ordered, 2 groups, 5 rows
  '140002000000' + // 20 bytes, 2 rows
  '180003000000' + // 24 bytes, 3 rows
  '0001010001'; // their order

test('a body of version 1 is what it always was', () => {
  const all = [
    message(20, () => 0xaa),
    message(24, () => 0xb0),
    message(24, () => 0xb1),
    message(20, () => 0xab),
    message(24, () => 0xb2),
  ];
  const body = written(all);
  assert.equal(Buffer.from(body.subarray(0, FIXTURE.length / 2)).toString('hex'), FIXTURE);
  // Byte k of all messages of a group side by side: here bytes 0 and 16.
  const data = FIXTURE.length / 2;
  assert.deepEqual([...body.subarray(data, data + 2)], [20, 20]);
  assert.deepEqual([...body.subarray(data + 32, data + 34)], [0xaa, 0xab]);
  assert.deepEqual([...body.subarray(data + 40 + 48, data + 40 + 51)], [0xb0, 0xb1, 0xb2]);
  assert.deepEqual(read(body), all);
});

test('a body that is cut, at any length, is refused before anything is visited', () => {
  for (const columns of [false, true]) {
    const body = written([message(20, (at) => at), message(40, (at) => at), message(20, (at) => 2 * at)], columns);
    for (let length = 0; length < body.length; length++)
      assert.throws(() => new Nl1Reader().read(body.subarray(0, length), () => assert.fail('visited')), DecodeError, `${length}`);
    assert.throws(() => new Nl1Reader().read(new Uint8Array([...body, 0]), () => {}), DecodeError);
  }
});

test('bodies that were changed give messages of their sizes, or a DecodeError', () => {
  const reader = new Nl1Reader();
  const all = Array.from({ length: 30 }, (_, n) => message(20 + 4 * (n % 3), (at) => (at * n) & 0xff));
  const bodies = [written(all), written(all, true)];
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), (which, changes) => {
      const changed = bodies[which]!.slice();
      for (const [at, value] of changes) changed[at % changed.length] = value;
      try {
        reader.read(changed, (bytes, start, end) => assert.ok(start >= 0 && end - start >= 20 && end <= bytes.length));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        refused++;
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(refused > 300, `${refused} refused`);
});

test('numbers that promise more than a body has cost nothing', () => {
  for (const hex of [
    '01000100ffffffff1400ffffffff',
    '01010000b80b0000',
    '0100ffff00000000',
    '010001000100000000000100000000',
    '02000000 00000000',
    '01040000 00000000',
    // In common, 3,000 messages of 4,096 bytes: more than a body may have.
    `01020100 b80b0000 0010 b80b0000 ${'00'.repeat(4096 + 512)}`,
    // Bits that promise more columns than there are.
    `01020100 02000000 1400 02000000 ${'14000000'.padEnd(40, '0')} 000010 ff`,
    '0101010001000000140001000000ff',
    // Columns that are copies of themselves, and of later ones.
    `01020100 02000000 1400 02000000 ${'14000000'.padEnd(40, '0')} 000030 0002 0102`,
    `01020100 02000000 1400 02000000 ${'14000000'.padEnd(40, '0')} 000030 0200 0102`,
  ])
    assert.throws(() => read(Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))), DecodeError, hex);
  assert.throws(() => read(new Uint8Array(5 << 20)), DecodeError);
});
