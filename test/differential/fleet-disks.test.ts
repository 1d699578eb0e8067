// Full disks: a collector and a shipper say so, wait, and go on when there is room; nothing is lost or doubled.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { H, packBody } from '../../src/fleet/bodies.js';
import { Collector } from '../../src/fleet/collector.js';
import { CollectorStore } from '../../src/fleet/collector-store.js';
import { encodeRecords } from '../../src/fleet/jc1.js';
import { readRecords } from '../../src/fleet/record-message.js';
import { Shipper } from '../../src/fleet/shipper.js';
import { prepareServers } from '../../src/fleet/streams.js';
import { RECORD_STREAM, shardOf, subjects } from '../../src/fleet/subjects.js';
import { columnTextsOf } from '../../src/history/column-texts.js';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { MemoryServers } from '../support/memory-bus.js';
import { randomRow, SECOND, T0, writeRecord } from '../support/past-record.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS } from '../support/project.js';
import { Random } from '../support/random.js';
import { until } from '../support/watchers.js';

const driver = loadDrivers(1)[0]!;
const random = new Random(20_261_129);
const RECORDER = '4d5a5a5e-0000-4000-8000-000000000001';
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** A disk of so many MiB, in memory. */
class SmallDisk implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'conntrack-disk-'));

  constructor(mebibytes: number) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'conntrack-test', this.directory]);
  }

  /** Somebody else takes all of it, but for some pages. */
  fill(pages: number): void {
    const { bavail, bsize } = statfsSync(this.directory);
    writeFileSync(join(this.directory, 'filler'), new Uint8Array(Math.max(0, bavail - pages) * bsize));
  }

  free(): void {
    rmSync(join(this.directory, 'filler'), { force: true });
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.directory]);
    rmdirSync(this.directory);
  }
}

/** So many records of fw1, into the stream. */
async function publish(all: MemoryServers, first: number, count: number): Promise<void> {
  const rows = range(first, first + count - 1).map((n) => ({
    start: T0 + n * SECOND,
    dur: SECOND,
    src: n,
    ext: n,
    dst: 1,
    proto: 6,
    how: 0,
  }));
  const times = { since: T0 + first * SECOND, alive: T0 + (first + count) * SECOND };
  const body = packBody(
    'jc1',
    encodeRecords({ recorder: RECORDER, first, ...times, netns: [], gaps: [], clock: [] }, columnTextsOf(rows)),
  );
  await all.connect().append(subjects.record(shardOf('fw1'), 'ams', 'fw1'), body.data, {
    headers: { ...body.headers, [H.recorder]: RECORDER },
  });
}

/** Every number of a copy, in the order of its files, and its gaps. */
function contents(directory: string): { numbers: number[]; gaps: unknown[] } {
  const numbers: number[] = [];
  const gaps: unknown[] = [];
  for (const { path } of segmentFiles(directory)) {
    const file = driver.open(path, { readOnly: true });
    for (const { seq } of file.prepare('SELECT seq FROM flow ORDER BY rowid').all()) numbers.push(seq as number);
    gaps.push(...file.prepare('SELECT reason, first, last FROM gap').all());
    file.close();
  }
  return { numbers, gaps };
}

before(requirePrerequisites);
suite('full disks', { skip: SELF_TEST ? 'the reference has no fleets' : false, timeout: 300_000 * SLOWNESS }, () => {
  const patience = 30_000 * SLOWNESS;

  async function collect(all: MemoryServers, directory: string, told: string[]) {
    const tell = (line: string) => told.push(line);
    const store = new CollectorStore({
      directory,
      version: '0',
      keep: Number.POSITIVE_INFINITY,
      segmentRows: 1_000_000,
      launcher: ['false'],
      tell,
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
      tell,
    });
    return { collector, store };
  }

  test('a collector waits, whatever it was that found no room', async () => {
    using disk = new SmallDisk(16);
    const all = new MemoryServers();
    await prepareServers(all.connect(), 1);
    const copies = join(disk.directory, 'copies');
    let sent = 0;
    const told: string[] = [];
    for (const pages of [0, 1, 2, 3, 5, 9, 17]) {
      // A collector that starts, and one that runs already.
      const { collector, store } = await collect(all, copies, told);
      const isTaken = () => until('it has all', async () => store.stored()[0]?.meta.applied === sent, patience);
      await publish(all, sent + 1, 50);
      sent += 50;
      await isTaken();
      disk.fill(pages);
      const before = told.length;
      for (let n = 0; n < 3; n++, sent += 3000) await publish(all, sent + 1, 3000);
      await until('it says so', async () => /cannot write/.test(told.slice(before).join('\n')), patience);
      assert.match(collector.status.trouble ?? '', /cannot write/);
      assert.ok(collector.status.lag > 0);
      disk.free();
      await isTaken();
      await until('it is over', async () => collector.status.trouble === undefined, patience);
      await collector.stop();
    }
    const [host] = readdirSync(copies).filter((name) => name === 'fw1');
    assert.ok(host !== undefined);
    assert.deepEqual(
      readdirSync(join(copies, host, RECORDER)).filter((name) => name.includes('damaged')),
      [],
    );
    assert.deepEqual(contents(join(copies, host, RECORDER)), { numbers: range(1, sent), gaps: [] });
  });

  test('a collector that starts on a full disk ends with that, or waits, and harms no copy', async () => {
    using disk = new SmallDisk(16);
    const all = new MemoryServers();
    await prepareServers(all.connect(), 1);
    const copies = join(disk.directory, 'copies');
    const told: string[] = [];
    let sent = 0;
    for (const pages of [0, 1, 3, 8]) {
      await publish(all, sent + 1, 3000);
      sent += 3000;
      disk.fill(pages);
      let waiting: Awaited<ReturnType<typeof collect>> | undefined;
      try {
        waiting = await collect(all, copies, told);
      } catch (error) {
        assert.match((error as Error).message, /full|space|disk/i);
      }
      disk.free();
      const { collector, store } = waiting ?? (await collect(all, copies, told));
      await until('it has all', async () => store.stored()[0]?.meta.applied === sent, patience);
      await collector.stop();
    }
    assert.deepEqual(contents(join(copies, 'fw1', RECORDER)), { numbers: range(1, sent), gaps: [] });
  });

  test('an agent that cannot keep how far it is ships on, and doubles nothing that is not known', async () => {
    using disk = new SmallDisk(16);
    const { directory } = disk;
    const rows = Array.from({ length: 3000 }, () => randomRow(random, T0));
    writeRecord(driver, directory, [
      { rows, opened: T0 - 1000 * SECOND, alive: T0 + 100 * SECOND, namespaces: { 1: 'a', 2: 'b' } },
    ]);
    const all = new MemoryServers();
    await prepareServers(all.connect(), 1);
    const told: string[] = [];
    const options = { bus: all.connect(), host: 'fw1', site: 'ams', directory, flush: 10, clock: () => null };
    const shipper = Shipper.open({ ...options, tell: (line) => told.push(line) }, undefined);
    disk.fill(0);
    shipper.start();
    await until('everything is shipped', async () => shipper.status.acked === 3000, patience);
    await shipper.stop(1000);
    assert.match(told.join('\n'), /cannot write ship\.json/);
    disk.free();
    // As after a crash: all of it again, under the same numbers.
    const again = Shipper.open({ ...options, tell: (line) => told.push(line) }, shipper.status);
    again.start();
    await until('everything is shipped', async () => again.status.acked === 3000, patience);
    await again.stop(1000);
    assert.equal(again.recorder, shipper.recorder);
    const numbers = all.streams.get(RECORD_STREAM)!.messages.flatMap((message) => {
      const { first, count } = readRecords(message);
      return range(first, first + count - 1);
    });
    assert.deepEqual([...new Set(numbers)], range(1, 3000));
  });
});
