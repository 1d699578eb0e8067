// Copies of records: whatever is killed, comes twice, comes late or not at all, a copy has each record once, or a gap that names it.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { H, packBody } from '../../src/fleet/bodies.js';
import { formatShards, parseShards } from '../../src/fleet/collected.js';
import { Collector, type CollectorOptions } from '../../src/fleet/collector.js';
import { CollectorStore, type StoreOptions } from '../../src/fleet/collector-store.js';
import { readCollectorValue } from '../../src/fleet/collector-value.js';
import { decodeRecords, encodeRecords } from '../../src/fleet/jc1.js';
import { Shipper } from '../../src/fleet/shipper.js';
import { prepareServers } from '../../src/fleet/streams.js';
import { COLLECTORS_BUCKET, RECORD_STREAM, shardOf, subjects } from '../../src/fleet/subjects.js';
import { columnTextsOf } from '../../src/history/column-texts.js';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import type { SqliteRow } from '../../src/history/driver/sqlite.js';
import { openHistory } from '../../src/history/index.js';
import { addToManifest } from '../../src/history/manifest.js';
import { RecordCopy } from '../../src/history/record-copy.js';
import type { PartGap, RecordPart } from '../../src/history/record-parts.js';
import { sealSegment } from '../../src/history/seal-segment.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { verifyRecord } from '../../src/history/verify-record.js';
import { MemoryServers } from '../support/memory-bus.js';
import { inRecord, type PastRow, randomRow, SECOND, T0, writeRecord } from '../support/past-record.js';
import { SLOWNESS } from '../support/project.js';
import { Random } from '../support/random.js';
import { until } from '../support/watchers.js';

const driver = loadDrivers(1)[0]!;
const random = new Random(20_261_130);
const RECORDER = '4d5a5a5e-0000-4000-8000-000000000001';
const record = (count: number): PastRow[] => Array.from({ length: count }, () => randomRow(random, T0));

/** Records of a range of numbers. */
function part(first: number, count: number, more: Partial<RecordPart> = {}): RecordPart {
  const rows: SqliteRow[] = Array.from({ length: count }, (_, n) => ({
    start: T0 + (first + n) * SECOND,
    dur: SECOND,
    src: first + n,
    dst: 1,
    ext: first + n,
    proto: 6,
    how: 0,
  }));
  const head = {
    recorder: RECORDER,
    first,
    since: T0 + first * SECOND,
    alive: T0 + (first + count) * SECOND,
    netns: [],
    gaps: [],
    clock: [],
  };
  return { ...decodeRecords(encodeRecords(head, columnTextsOf(rows))), ...more };
}

const copyIn = (directory: string, segmentRows = 1000, at = T0) =>
  new RecordCopy(driver, { directory, host: 'fw1', version: '0', segmentRows, now: () => at });

/** All numbers of a directory of segments, in their order, and what it says to lack. */
function contents(directory: string): { numbers: number[]; gaps: (readonly [string, number | null, number | null])[] } {
  const numbers: number[] = [];
  const gaps: (readonly [string, number | null, number | null])[] = [];
  for (const { path } of segmentFiles(directory)) {
    const file = driver.open(path, { readOnly: true });
    for (const { seq } of file.prepare('SELECT seq FROM flow ORDER BY seq').all()) numbers.push(seq as number);
    for (const { reason, first, last } of file.prepare('SELECT * FROM gap ORDER BY id').all())
      gaps.push([String(reason), first as number | null, last as number | null]);
    file.close();
  }
  return { numbers, gaps };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

test('parts that come twice, overlap or come late are taken once', () =>
  inRecord((directory) => {
    const copy = copyIn(directory);
    assert.deepEqual(copy.take(part(1, 10)), { rows: 10, known: 0, missing: 0, closed: undefined });
    assert.equal(copy.take(part(1, 10)).known, 10);
    assert.deepEqual(copy.take(part(6, 10)), { rows: 5, known: 5, missing: 0, closed: undefined });
    assert.equal(copy.take(part(3, 4)).known, 4);
    assert.equal(copy.take(part(16, 5)).rows, 5);
    copy.close();
    assert.deepEqual(contents(directory), { numbers: range(1, 20), gaps: [] });
    // As one that was closed and opened again knows it.
    const again = copyIn(directory);
    assert.equal(again.take(part(10, 15)).rows, 4);
    assert.equal(again.meta!.applied, 24);
    again.close();
    assert.deepEqual(contents(directory).numbers, range(1, 24));
  }));

test('a hole is a gap with its numbers, unless the part says itself what lacks', () =>
  inRecord((directory) => {
    const gap = (lost: readonly [number, number], reason = 'unshipped'): PartGap => ({
      id: 0,
      ns: null,
      from: T0,
      to: T0 + SECOND,
      first: lost[1] + 1,
      lost,
      reason,
      events: null,
      note: null,
    });
    const copy = copyIn(directory);
    copy.take(part(5, 5));
    assert.equal(copy.take(part(20, 5)).missing, 10);
    assert.equal(copy.take(part(30, 5, { gaps: [gap([25, 29])] })).missing, 0);
    assert.equal(copy.take(part(40, 5, { gaps: [gap([37, 39])] })).missing, 2);
    copy.noteDamage();
    assert.equal(copy.take(part(50, 1)).missing, 5);
    // What was known before is not told again.
    assert.equal(copy.take(part(30, 5, { gaps: [gap([25, 29])] })).rows, 0);
    copy.close();
    assert.deepEqual(contents(directory).gaps, [
      ['missing', 10, 19],
      ['unshipped', 25, 29],
      ['missing', 35, 36],
      ['unshipped', 37, 39],
      ['damaged', 45, 49],
    ]);
  }));

test('a copy with holes is as it was, and what is taken from it shows', () =>
  inRecord(async (directory) => {
    const copy = copyIn(directory, 7);
    for (const [first, count] of [
      [5, 5],
      [20, 5],
      [25, 9],
      [50, 1],
      [51, 8],
    ] as const)
      copy.take(part(first, count));
    copy.cut();
    for (const { path, name } of copy.unsealed()) {
      const { rows, sha256 } = await sealSegment(driver, path, T0);
      addToManifest(directory, { what: 'sealed', segment: name, at: new Date(0).toISOString(), rows, sha256 });
    }
    copy.close();
    const { faults, segments } = await verifyRecord(directory);
    assert.deepEqual(
      [faults, segments.length > 1, segments.reduce((sum, { records }) => sum + records, 0)],
      [[], true, contents(directory).numbers.length],
    );
    const { name, path } = segmentFiles(directory)[1]!;
    chmodSync(path, 0o640);
    const file = driver.open(path);
    file.exec('DELETE FROM flow WHERE seq = (SELECT max(seq) - 1 FROM flow)');
    file.close();
    const { faults: found } = await verifyRecord(directory);
    assert.ok(
      found.some(({ text }) => text === `${name} lacks 1 of its records`),
      JSON.stringify(found),
    );
  }));

test('gaps of the recorder are taken once, by their numbers', () =>
  inRecord((directory) => {
    const gap = (id: number): PartGap => ({
      id,
      ns: null,
      from: T0,
      to: T0 + 1,
      first: 1,
      reason: 'overrun',
      events: id,
      note: null,
    });
    const copy = copyIn(directory);
    copy.take(part(1, 3, { gaps: [gap(1_000_001)] }));
    copy.take(part(1, 3, { gaps: [gap(1_000_001)] }));
    copy.take(part(4, 0, { gaps: [gap(1_000_001), gap(1_000_002)] }));
    copy.close();
    assert.deepEqual(
      contents(directory).gaps.map(([reason]) => reason),
      ['overrun', 'overrun'],
    );
  }));

test('segments end by records and by days, and go on with the numbers', () =>
  inRecord((directory) => {
    let at = T0;
    const copy = new RecordCopy(driver, { directory, host: 'fw1', version: '0', segmentRows: 20, now: () => at });
    const closed: string[] = [];
    for (let first = 1; first <= 91; first += 10) {
      const { closed: ended } = copy.take(part(first, 10));
      if (ended) closed.push(ended.name);
    }
    at += 86_400 * SECOND;
    if (copy.take(part(101, 1)).closed) closed.push('day');
    copy.close();
    assert.equal(closed.length, 5);
    assert.deepEqual(contents(directory).numbers, range(1, 101));
    assert.equal(segmentFiles(directory).length, 6);
  }));

test('clocks that step by an hour, here or on the host, cost no record, and nothing is known twice', () =>
  inRecord((directory) => {
    const HOUR = 3600 * SECOND;
    let at = T0;
    const copy = new RecordCopy(driver, { directory, host: 'fw1', version: '0', segmentRows: 1000, now: () => at });
    copy.take(part(1, 10));
    const { alive } = copy.meta!;
    const step = { at: T0, before: T0, after: T0 - HOUR, delta: -HOUR, class: 'step' };
    // The host's clock goes back: what ended since then has ended earlier, by it.
    copy.take({ ...part(11, 10), since: T0 - HOUR, alive: alive - HOUR, clock: [step] } as RecordPart);
    assert.equal(copy.meta!.alive, alive);
    for (const [first, now] of [
      [21, T0 - HOUR],
      [31, T0 + HOUR],
      [41, T0 - 25 * HOUR],
    ] as const) {
      at = now;
      assert.equal(copy.take(part(first, 10)).rows, 10);
      assert.equal(copy.take(part(first, 10)).known, 10);
    }
    copy.close();
    assert.deepEqual(contents(directory), { numbers: range(1, 50), gaps: [] });
    const again = copyIn(directory, 1000, T0 + HOUR);
    assert.equal(again.take(part(41, 20)).rows, 10);
    again.close();
    assert.deepEqual(contents(directory).numbers, range(1, 60));
  }));

test('what waits is told with its age, and a collector that cannot read says so until it can', () =>
  inRecord(async (copies) => {
    const all = await servers();
    await publish(all, 'fw1', part(1, 10));
    await using running = await collect(all, copies);
    await running.read(() => running.collector.status.rows === 10);
    assert.deepEqual(running.collector.status.lags.get('all'), { messages: 0, milliseconds: 0 });
    assert.equal(running.collector.status.applied.get(shardOf('fw1')), 10);
    const stream = all.streams.get(RECORD_STREAM)!;
    all.streams.delete(RECORD_STREAM);
    await running.read(() => /no stream of records/.test(running.collector.status.trouble ?? ''));
    all.streams.set(RECORD_STREAM, stream);
    await running.read(() => running.collector.status.trouble === undefined);
    assert.deepEqual(running.told.slice(-1), ['goes on']);
  }));

test('a segment that ended while its successor was not there is followed by one', () =>
  inRecord((directory) => {
    const copy = copyIn(directory);
    copy.take(part(1, 10));
    copy.close();
    const file = driver.open(segmentFiles(directory)[0]!.path);
    file.exec("INSERT INTO meta VALUES ('closed', 1)");
    file.close();
    const again = copyIn(directory);
    assert.equal(again.take(part(5, 10)).rows, 4);
    again.close();
    assert.deepEqual(contents(directory).numbers, range(1, 14));
    assert.equal(segmentFiles(directory).length, 2);
  }));

test('a damaged segment goes out of the way, and the hole shows', () =>
  inRecord(async (directory) => {
    const copy = copyIn(directory, 10);
    copy.take(part(1, 10));
    copy.take(part(11, 5));
    copy.close();
    const { path } = segmentFiles(directory).at(-1)!;
    writeFileSync(path, 'no database at all '.repeat(500));
    for (const suffix of ['-wal', '-shm']) writeFileSync(path + suffix, '');
    const again = copyIn(directory, 10);
    assert.equal(again.take(part(16, 5)).rows, 5);
    again.close();
    assert.ok(readdirSync(directory).some((name) => name.endsWith('.damaged')));
    const history = await openHistory(directory);
    assert.deepEqual(
      history.gaps().map(({ reason }) => reason),
      ['missing'],
    );
  }));

/** Servers, and a collector of theirs. */
async function servers(): Promise<MemoryServers> {
  const all = new MemoryServers();
  await prepareServers(all.connect(), 1);
  return all;
}

async function collect(
  all: MemoryServers,
  directory: string,
  more: Partial<CollectorOptions> = {},
  how: Partial<StoreOptions> = {},
) {
  const told: string[] = [];
  const store = new CollectorStore({
    directory,
    version: '0',
    keep: Number.POSITIVE_INFINITY,
    segmentRows: 1_000_000,
    launcher: ['false'],
    tell: (line) => told.push(line),
    ...how,
  });
  const collector = await Collector.start({
    bus: all.connect(),
    name: 'c1',
    shards: range(0, 63),
    store,
    bad: join(directory, 'bad'),
    version: '0',
    pid: process.pid,
    takeOver: true,
    tell: (line) => told.push(line),
    ...more,
  });
  const read = (what: () => boolean) => until('the collector has read', async () => what(), 20_000 * SLOWNESS);
  return { collector, store, told, read, [Symbol.asyncDispose]: () => collector.stop() };
}

/** Adds a message to the stream. */
async function publish(
  all: MemoryServers,
  host: string,
  told: RecordPart | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { columns: _, count, ...head } = told instanceof Uint8Array ? part(1, 0) : told;
  const rows =
    told instanceof Uint8Array
      ? []
      : range(0, count - 1).map((n) => ({
          start: T0 + (head.first + n) * SECOND,
          dur: SECOND,
          src: head.first + n,
          ext: head.first + n,
          dst: 1,
          proto: 6,
          how: 0,
        }));
  const body =
    told instanceof Uint8Array
      ? { data: told, headers: { 'Ct-V': '1', 'Ct-Enc': 'jc1', 'Ct-Zip': 'none' } }
      : packBody('jc1', encodeRecords(head, columnTextsOf(rows)));
  await all.connect().append(subjects.record(shardOf(host), 'ams', host), body.data, {
    headers: { ...body.headers, [H.recorder]: RECORDER, ...headers },
  });
}

test('what an agent ships is the record that it has, in files that every word reads', () =>
  inRecord((directory) =>
    inRecord(async (copies) => {
      writeRecord(driver, directory, [
        { rows: record(3000), opened: T0 - 1000 * SECOND, alive: T0 + 100 * SECOND, namespaces: { 1: 'blue', 2: 'red' } },
      ]);
      const all = await servers();
      const shipper = Shipper.open(
        { bus: all.connect(), host: 'fw1', site: 'ams', directory, flush: 10, clock: () => null, tell: () => {} },
        undefined,
      );
      shipper.start();
      const { collector, read, store } = await collect(all, copies);
      await read(() => collector.status.rows === 3000);
      await shipper.stop(1000);
      await collector.stop();
      assert.ok(!readdirSync(join(copies, 'fw1', RECORDER)).some((name) => /-(wal|shm)$/.test(name)));
      const lines = async (path: string) => {
        const found: string[] = [];
        for await (const flow of (await openHistory(path)).flows()) {
          const { segment: _, ...rest } = JSON.parse(JSON.stringify(flow));
          found.push(JSON.stringify(rest));
        }
        return found;
      };
      assert.deepEqual(await lines(join(copies, 'fw1', RECORDER)), await lines(directory));
      assert.equal(store.stored()[0]!.meta.alive, T0 + 100 * SECOND);
    }),
  ));

test('a collector that is killed at any message goes on where its copies are', () =>
  inRecord(async (copies) => {
    const all = await servers();
    const path = join(copies, 'position.json');
    let sent = 0;
    for (let round = 0; round < 6; round++) {
      for (let n = 0; n < 4; n++, sent += 10) await publish(all, 'fw1', part(sent + 1, 10));
      const { collector, read, store } = await collect(all, copies);
      await read(() => store.stored()[0]?.meta.applied === sent);
      await collector.stop();
      // As a kill leaves it: copies that are ahead of the position.
      const position = JSON.parse(readFileSync(path, 'utf8'));
      writeFileSync(path, JSON.stringify({ ...position, taken: position.taken.map((n: number) => Math.max(0, n - round)) }));
      if (round > 1) assert.equal(collector.status.known, 10 * (round - 1));
    }
    assert.deepEqual(contents(join(copies, 'fw1', RECORDER)), { numbers: range(1, 240), gaps: [] });
  }));

test('after the machine has crashed, what the disk may not have is read again', () =>
  inRecord(async (copies) => {
    const all = await servers();
    for (let first = 1; first <= 50; first += 10) await publish(all, 'fw1', part(first, 10));
    mkdirSync(copies, { recursive: true });
    const created = (await all.connect().streamState(RECORD_STREAM))!.created;
    const of = (n: number) => new Array<number>(64).fill(n);
    writeFileSync(join(copies, 'position.json'), JSON.stringify({ v: 1, created, boot: 'another', taken: of(5), synced: of(0) }));
    await using running = await collect(all, copies);
    await running.read(() => running.collector.status.rows === 50);
  }));

test('a stream that is another one is read from its beginning, and what it no longer has is a gap', () =>
  inRecord(async (copies) => {
    const all = await servers();
    await publish(all, 'fw1', part(1, 10));
    {
      await using running = await collect(all, copies);
      await running.read(() => running.collector.status.rows === 10);
    }
    all.streams.delete(RECORD_STREAM);
    await prepareServers(all.connect(), 1);
    await publish(all, 'fw1', part(6, 10));
    await publish(all, 'fw1', part(16, 10));
    await publish(all, 'fw1', part(40, 10));
    // The servers had to drop it before anybody read it.
    all.streams.get(RECORD_STREAM)!.messages.splice(1, 1);
    await using running = await collect(all, copies);
    await running.read(() => running.collector.status.rows === 15);
    await running.collector.stop();
    assert.deepEqual(contents(join(copies, 'fw1', RECORDER)), {
      numbers: [...range(1, 15), ...range(40, 49)],
      gaps: [['missing', 16, 39]],
    });
    assert.equal(running.collector.status.missing, 24);
  }));

test('a hole that a server makes for a while is read again, and is none', () =>
  inRecord(async (copies) => {
    const all = await servers();
    for (let first = 1; first <= 91; first += 10) await publish(all, 'fw1', part(first, 10));
    const bus = all.connect();
    const follow = bus.followStream.bind(bus);
    let readings = 0;
    // As a server may that has just come back: it begins later than it was asked to, or leaves something out.
    bus.followStream = async function* (name, options) {
      const reading = ++readings;
      for await (const message of follow(name, options))
        if (reading > 3 || message.sequence < 3 || message.sequence > 6) yield message;
    };
    await using running = await collect(all, copies, { bus });
    await running.read(() => running.collector.status.rows === 100);
    assert.equal(running.collector.status.missing, 0);
    assert.equal(readings, 4);
    await running.collector.stop();
    assert.deepEqual(contents(join(copies, 'fw1', RECORDER)), { numbers: range(1, 100), gaps: [] });
  }));

test('messages that cannot be read are kept, told and counted, and no host harms another', () =>
  inRecord(async (copies) => {
    const all = await servers();
    const bus = all.connect();
    await publish(all, 'fw1', part(1, 10));
    await publish(all, 'fw1', new TextEncoder().encode('{"v":1'));
    await publish(all, 'fw1', gzipSync(new Uint8Array(5 << 20)), { 'Ct-Zip': 'gzip' });
    await publish(all, 'fw2', new TextEncoder().encode('{"v":1,"recorder":"../../etc/x"}'));
    await publish(all, 'fw2', part(1, 5), { [H.recorder]: RECORDER.replace('1', '2') });
    await bus.append('ct.v1.rec.00.ams.fw1', new Uint8Array(3), {});
    await publish(all, 'fw1', part(31, 10));
    await publish(all, 'fw2', part(1, 5));
    await using running = await collect(all, copies);
    await running.read(() => running.collector.status.rows === 25);
    assert.equal(running.collector.status.bad, 5);
    assert.equal(running.told.filter((line) => /cannot be read/.test(line)).length, 5);
    assert.equal(readdirSync(join(copies, 'bad')).length, 10);
    await running.collector.stop();
    assert.deepEqual(contents(join(copies, 'fw1', RECORDER)).gaps, [['damaged', 11, 30]]);
    assert.deepEqual(contents(join(copies, 'fw2', RECORDER)).numbers, range(1, 5));
  }));

test('collectors of some shards share the hosts', () =>
  inRecord((one) =>
    inRecord(async (other) => {
      const all = await servers();
      const hosts = range(1, 12).map((n) => `fw${n}`);
      for (const host of hosts) await publish(all, host, part(1, 3));
      await using a = await collect(all, one, { name: 'c1', shards: parseShards('0-31') });
      await using b = await collect(all, other, { name: 'c2', shards: parseShards('32-63') });
      await a.read(() => a.collector.status.rows + b.collector.status.rows === 36);
      const names = (path: string) => readdirSync(path).filter((name) => name.startsWith('fw'));
      assert.deepEqual([...names(one), ...names(other)].sort(), hosts.toSorted());
      assert.ok(names(one).length > 0 && names(other).length > 0);
      const { entries } = await all.connect().readBucket(COLLECTORS_BUCKET);
      assert.deepEqual(entries.map((entry) => readCollectorValue(entry)!.shards).sort(), ['0-31', '32-63']);
    }),
  ));

test('a name has one collector', () =>
  inRecord((one) =>
    inRecord(async (other) => {
      const all = await servers();
      await using _first = await collect(all, one);
      await assert.rejects(collect(all, other, { takeOver: false, pid: 1 }), { code: 'NAME_TAKEN' });
    }),
  ));

test('a server that does not know yet what was written last is asked again', () =>
  inRecord(async (directory) => {
    const all = await servers();
    for (let n = 0; n < 2; n++) {
      await using running = await collect(all, directory);
      await running.collector.stop();
    }
    const bus = all.connect();
    const [stale] = (await bus.readBucket(COLLECTORS_BUCKET)).entries;
    let asked = 0;
    const readKey = bus.readKey.bind(bus);
    // As a follower answers that is behind.
    bus.readKey = async (bucket, key) => (asked++ === 0 ? { ...stale!, revision: stale!.revision - 1 } : readKey(bucket, key));
    await using running = await collect(all, directory, { bus });
    assert.ok(asked > 1);
    assert.deepEqual(running.told, ['the servers do not agree yet; it goes on trying']);
  }));

test('shards are written as they are read', () => {
  for (const text of ['0-63', '5', '0-3,7,9-10']) assert.equal(formatShards(parseShards(text)), text);
  for (const text of ['', '64', '3-1', 'x', '0-64', '1,,2', '-1'])
    assert.throws(() => parseShards(text), { code: 'CONFIG' }, text);
});
