// Records on their way from a host: how a record is read in parts, and how the parts reach the servers whatever fails.

import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ShippedTo } from '../../src/fleet/inventory.js';
import { readRecords, sourceOf } from '../../src/fleet/record-message.js';
import { Shipper, type ShipperOptions } from '../../src/fleet/shipper.js';
import { prepareServers } from '../../src/fleet/streams.js';
import { RECORD_STREAM } from '../../src/fleet/subjects.js';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import { COLUMN } from '../../src/history/record-columns.js';
import { BEGINNING, RecordTail, type TailPart, type TailPosition } from '../../src/history/record-tail.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { MemoryServers } from '../support/memory-bus.js';
import { inRecord, type PastRow, type PastSegment, randomRow, SECOND, T0, writeRecord } from '../support/past-record.js';
import { SLOWNESS } from '../support/project.js';
import { Random } from '../support/random.js';
import { until } from '../support/watchers.js';

const driver = loadDrivers(1)[0]!;
const random = new Random(20_261_129);
const rows = (count: number): PastRow[] => Array.from({ length: count }, () => randomRow(random, T0));

/** Three segments with so many rows each; the last is written to. */
function segments(count: number, more: Partial<PastSegment> = {}): PastSegment[] {
  return [0, 1, 2].map((n) => ({
    rows: rows(count),
    opened: T0 + n * 100 * SECOND,
    alive: T0 + (n + 1) * 100 * SECOND,
    ...(n < 2 ? { closed: T0 + (n + 1) * 100 * SECOND, sealed: true } : {}),
    ...more,
  }));
}

/** All parts behind a position. */
function readAll(directory: string, most: number, from: TailPosition = BEGINNING): { parts: TailPart[]; position: TailPosition } {
  const tail = new RecordTail(directory, driver);
  const parts: TailPart[] = [];
  let position = from;
  for (;;) {
    const part = tail.read(position, most);
    parts.push(part);
    position = part.position;
    if (!part.more) return { parts, position };
  }
}

/** What a message stands for: numbers of records and gaps. */
function numbersOf(parts: readonly TailPart[]): number[] {
  return parts.flatMap(({ head, records }) => Array.from({ length: records.count }, (_, n) => head.first + n));
}

test('a record is read in its order, in parts of any size, each row once', () =>
  inRecord((directory) => {
    writeRecord(driver, directory, segments(50));
    for (const most of [1, 7, 50, 51, 4000]) {
      const { parts, position } = readAll(directory, most);
      assert.deepEqual(
        numbersOf(parts),
        Array.from({ length: 150 }, (_, n) => n + 1),
        `${most}`,
      );
      assert.ok(parts.every(({ records }) => records.count <= most));
      assert.equal(parts[0]!.head.since, T0);
      for (const [n, { head }] of parts.entries()) {
        assert.ok(head.alive >= head.since);
        if (n > 0) assert.equal(head.since, parts[n - 1]!.head.alive);
      }
      assert.equal(position.alive, T0 + 300 * SECOND);
      assert.deepEqual(new RecordTail(directory, driver).read(position, most).records.count, 0);
    }
  }));

test('no part claims to know what a later one has: what ended before its end is in it or before it', () =>
  inRecord((directory) => {
    writeRecord(driver, directory, segments(80, { opened: T0 - 1000 * SECOND }));
    const { parts } = readAll(directory, 9);
    // Random rows are in no order of time; the segment says by how much.
    for (const [n, { head }] of parts.entries())
      for (const later of parts.slice(n + 1))
        for (let row = 0; row < later.records.count; row++) {
          const [start, dur] = [COLUMN.start, COLUMN.dur].map((place) => JSON.parse(later.records.columns[place]!)[row]);
          if (later.position.segment === 1) assert.ok(start! + dur! >= head.alive);
        }
  }));

test('gaps come once, before the records behind them', () =>
  inRecord((directory) => {
    const gap = (from: number) => ({ from: T0 + from, to: T0 + from + 1, reason: 'overrun' });
    writeRecord(driver, directory, segments(5, { gaps: [gap(1), gap(2), gap(3)] }));
    const file = driver.open(segmentFiles(directory)[2]!.path);
    file.exec('UPDATE gap SET first = 9 + 2 * id');
    file.close();
    const { parts } = readAll(directory, 2);
    const gaps = parts.flatMap(({ head }) => head.gaps);
    assert.deepEqual(
      gaps.map(({ id }) => id),
      [1, 2, 3].flatMap((segment) => [1, 2, 3].map((n) => segment * 1_000_000 + n)),
    );
    for (const { head, records } of parts) for (const { first } of head.gaps) assert.ok(first <= head.first + records.count);
  }));

test('segments that were deleted before they were read are told as a gap, records that were taken out as well', () =>
  inRecord((directory) => {
    writeRecord(driver, directory, segments(20));
    const { position } = readAll(directory, 4000);
    const tail = new RecordTail(directory, driver);
    const first = tail.read(BEGINNING, 12);
    assert.equal(first.position.sequence, 12);
    rmSync(segmentFiles(directory)[0]!.path);
    const next = tail.read(first.position, 4000);
    assert.equal(next.head.first, 21);
    const [lost] = next.head.gaps;
    assert.deepEqual([lost!.reason, lost!.lost, lost!.events, lost!.from], ['unshipped', [13, 20], 8, first.position.alive]);
    const file = driver.open(segmentFiles(directory).at(-1)!.path);
    file.exec('DELETE FROM flow WHERE seq BETWEEN 45 AND 50');
    file.close();
    const { parts } = readAll(directory, 4000, next.position);
    assert.deepEqual(numbersOf(parts), [41, 42, 43, 44, ...Array.from({ length: 10 }, (_, n) => 51 + n)]);
    const [taken] = parts.flatMap(({ head }) => head.gaps);
    assert.deepEqual([taken!.reason, taken!.lost], ['forgotten', [45, 50]]);
    // Whoever begins now is told of what is there only.
    assert.deepEqual(readAll(directory, 4000).parts[0]!.head.gaps, []);
    assert.ok(position.sequence === 60);
  }));

/** Servers with streams. */
async function servers(): Promise<MemoryServers> {
  const all = new MemoryServers();
  await prepareServers(all.connect(), 1);
  return all;
}

function ship(all: MemoryServers, directory: string, more: Partial<ShipperOptions> = {}, known?: ShippedTo): Shipper {
  const shipper = Shipper.open(
    {
      bus: all.connect(),
      host: 'fw1',
      site: 'ams',
      directory,
      flush: 10,
      pause: 1,
      clock: () => ({ offset: 3, error: 1 }),
      tell: () => {},
      ...more,
    },
    known,
  );
  shipper.start();
  return shipper;
}

/** Every record that the stream has, as recorder and number. */
function streamed(all: MemoryServers): string[] {
  return all.streams.get(RECORD_STREAM)!.messages.flatMap((message) => {
    const { recorder, first, count } = readRecords(message);
    assert.deepEqual(sourceOf(message.subject), { site: 'ams', host: 'fw1' });
    return Array.from({ length: count }, (_, n) => `${recorder.slice(36)}${first + n}`);
  });
}

const all150 = Array.from({ length: 150 }, (_, n) => `${n + 1}`);
const shipped = (shipper: Shipper, sequence: number) =>
  until('everything is shipped', async () => shipper.status.acked === sequence, 20_000 * SLOWNESS);

test('a record is shipped, and a second run goes on where the first was', () =>
  inRecord(async (directory) => {
    writeRecord(driver, directory, segments(50));
    const all = await servers();
    const first = ship(all, directory);
    await shipped(first, 150);
    await first.stop(1000);
    assert.deepEqual(streamed(all), all150);
    const { status } = first;
    assert.deepEqual([status.behind, status.records, status.retries, status.alive], [0, 150, 0, T0 + 300 * SECOND]);
    const second = ship(all, directory, {}, status);
    await second.stop(1000);
    assert.deepEqual(streamed(all), all150);
    assert.deepEqual(second.status.acked, 150);
    assert.deepEqual(JSON.parse(readFileSync(join(directory, 'ship.json'), 'utf8')).position.sequence, 150);
  }));

test('what is not confirmed is sent again under its id until it is, and nothing is doubled', () =>
  inRecord(async (directory) => {
    writeRecord(driver, directory, segments(50));
    const all = await servers();
    const fates = ['refused', 'unanswered', 'unanswered', 'refused', 'unanswered', 'kept'] as const;
    let n = 0;
    all.appends = () => fates[n++ % fates.length]!;
    const told: string[] = [];
    const shipper = ship(all, directory, { tell: (line) => told.push(line) });
    await shipped(shipper, 150);
    await shipper.stop(100);
    assert.deepEqual(streamed(all), all150);
    assert.ok(shipper.status.retries > 0);
    assert.match(told[0]!, /records are not confirmed: /);
    assert.equal(told[1], 'records are confirmed again');
  }));

test('after a crash the last second is sent again, cut otherwise, and known by its numbers', () =>
  inRecord(async (directory) => {
    writeRecord(driver, directory, segments(50));
    const all = await servers();
    const first = ship(all, directory);
    await shipped(first, 150);
    await first.stop(100);
    // As a crash leaves it: an older position.
    const path = join(directory, 'ship.json');
    const kept = JSON.parse(readFileSync(path, 'utf8'));
    const { position } = new RecordTail(directory, driver).read(BEGINNING, 33);
    writeFileSync(path, JSON.stringify({ ...kept, position }));
    const second = ship(all, directory, {}, first.status);
    await shipped(second, 150);
    await second.stop(100);
    const twice = streamed(all);
    assert.deepEqual(twice.slice(0, 150), all150);
    // The segments behind were cut as before.
    assert.deepEqual(twice.slice(150), all150.slice(33, 50));
    assert.equal(second.recorder, first.recorder);
  }));

test('a file that cannot be read costs doubles, and no record', () =>
  inRecord(async (directory) => {
    writeRecord(driver, directory, segments(50));
    for (const text of ['', '{', '{"v":1}', 'null', '[]']) {
      writeFileSync(join(directory, 'ship.json'), text);
      const all = await servers();
      const shipper = ship(all, directory);
      await shipped(shipper, 150);
      await shipper.stop(100);
      assert.deepEqual(streamed(all), all150, text);
    }
  }));

test('a disk that was put back gives the record another name, and says so', () =>
  inRecord(async (directory) => {
    const before = segments(50);
    writeRecord(driver, directory, before);
    const all = await servers();
    const first = ship(all, directory);
    await shipped(first, 150);
    await first.stop(100);
    const known = first.status;
    // The last 20 records are gone, and others have their numbers.
    const file = driver.open(segmentFiles(directory).at(-1)!.path);
    file.exec('DELETE FROM flow WHERE seq > 130');
    file.exec(
      `INSERT INTO flow (seq, start, dur, src, dst, ext, proto, how) SELECT seq + 20, ${known.alive} + seq, 1, 1, 2, 1, 6, 0 FROM flow WHERE seq > 110`,
    );
    file.close();
    renameSync(join(directory, 'ship.json'), join(directory, 'ship.json.gone'));
    const told: string[] = [];
    const second = ship(all, directory, { tell: (line) => told.push(line) }, known);
    await until('it is shipped', async () => second.status.behind === 0 && second.status.messages > 0, 20_000 * SLOWNESS);
    await second.stop(100);
    assert.match(told[0]!, /^the record was put back to an older state: .* as that of .*\.2$/);
    assert.equal(second.recorder, `${first.recorder}.2`);
    const later = streamed(all).slice(150);
    assert.deepEqual(
      later,
      Array.from({ length: 20 }, (_, n) => `.2${131 + n}`),
    );
    const gaps = all.streams.get(RECORD_STREAM)!.messages.flatMap((message) => readRecords(message).gaps);
    assert.deepEqual(
      gaps.map(({ reason, from }) => [reason, from]),
      [['rolled-back', known.alive]],
    );
    // It keeps that name.
    const third = ship(all, directory, {}, second.status);
    assert.equal(third.recorder, second.recorder);
    await third.stop(100);
  }));

test('subjects of nobody are nobody’s records', () => {
  for (const subject of ['ct.v1.rec.00.ams.fw1', 'ct.v1.rec.ams.fw1', 'fw1', 'ct.v1.rec.29.ams.FW1', 'x.v1.rec.29.ams.fw1'])
    assert.equal(sourceOf(subject), undefined, subject);
});
