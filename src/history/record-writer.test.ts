import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { makeFlow } from '../testing/index.js';
import { loadDriver, loadDrivers } from './driver/load-driver.js';
import type { SqliteDriver, SqliteFile, SqliteValue } from './driver/sqlite.js';
import { ENDED, OPENED, RecordBatch } from './record-batch.js';
import { COLUMN } from './record-columns.js';
import { RecordDirectory } from './record-directory.js';
import { RecordWriter, type RecordWriterOptions } from './record-writer.js';
import { segmentFiles } from './segment-files.js';

const session = { from: 1, boot: 'b', sysctls: {}, options: {}, version: '0', noDestination: false };

for (const driver of loadDrivers())
  test(`${driver.name}: a recorder goes on when power has failed while a segment was sealed`, () => {
    const scratch = mkdtempSync(`${tmpdir()}/conntrack-writer-`);
    try {
      const options = { sync: 'none', segmentRows: 1e9, segmentAge: 1e15, session } as const;
      const directory = `${scratch}/before`;
      mkdirSync(directory);
      const { writer } = RecordWriter.open(driver, { ...options, directory });
      const { path, name } = writer.segment;
      writer.close();
      // A transaction that has reached the file, and is not complete.
      const sealer = driver.open(path);
      sealer.exec('PRAGMA cache_size = 1');
      sealer.exec('BEGIN IMMEDIATE');
      sealer.exec('CREATE TABLE more (a)');
      sealer.exec(
        'WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 2000) INSERT INTO more SELECT randomblob(100) FROM n',
      );
      const after = `${scratch}/after`;
      mkdirSync(after);
      for (const each of readdirSync(directory)) copyFileSync(`${directory}/${each}`, `${after}/${each}`);
      sealer.exec('ROLLBACK');
      sealer.close();
      assert.ok(existsSync(`${after}/${name}-journal`));
      assert.throws(() => new RecordDirectory(after, driver).state(), /sealing was interrupted; conntrack record mends it/);
      const again = RecordWriter.open(driver, { ...options, directory: after });
      assert.equal(again.resumption.gap?.reason, 'crash');
      again.writer.close();
      assert.ok(!existsSync(`${after}/${name}-journal`));
      assert.equal(new RecordDirectory(after, driver).state().segments.length, 1);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });

const view = new FlowViews().of(
  makeFlow({ protocol: 'udp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1, dport: 53 }, status: ['CONFIRMED'] }),
);

/** Flows that have ended, numbered by their source ports, and one that lives. */
function batchOf(first: number, count: number, open?: number) {
  const batch = new RecordBatch();
  const add = (kind: typeof ENDED | typeof OPENED, port: number) => {
    batch.add(view, kind);
    for (const column of [COLUMN.start, COLUMN.dur, COLUMN.sslack, COLUMN.eslack]) batch.set(column, 1);
    batch.set(COLUMN.sport, port);
  };
  for (let n = 0; n < count; n++) add(ENDED, first + n);
  if (open !== undefined) {
    add(OPENED, open);
    batch.setKey(open);
    batch.setOpen(1, 0);
  }
  return batch.take();
}

function inScratch(body: (directory: string) => void): void {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-writer-`);
  try {
    body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A disk that fails: calls count from `begin` on, and those whose turn it is throw what SQLite throws. */
function failing(driver: SqliteDriver, faults: ReadonlyMap<number, number>): SqliteDriver & { begin(): void } {
  let calls = Number.NEGATIVE_INFINITY;
  const met =
    <A extends unknown[], R>(call: (...values: A) => R) =>
    (...values: A): R => {
      const errcode = faults.get(++calls);
      if (errcode !== undefined && values[0] !== 'ROLLBACK') throw Object.assign(new Error('the disk fails'), { errcode });
      return call(...values);
    };
  const wrapped = (file: SqliteFile): SqliteFile => ({
    schema: file.schema,
    close: () => file.close(),
    exec: met((sql) => file.exec(sql)),
    prepare: met((sql, options) => {
      const statement = file.prepare(sql, options);
      return {
        run: met((...values: SqliteValue[]) => statement.run(...values)),
        runMany: met((values) => statement.runMany(values)),
        all: met((...values: SqliteValue[]) => statement.all(...values)),
        arrays: met((...values: SqliteValue[]) => statement.arrays(...values)),
        iterate: met((...values: SqliteValue[]) => statement.iterate(...values)),
      };
    }),
  });
  return {
    name: driver.name,
    open: met((path, options) => wrapped(driver.open(path, options))),
    begin: () => {
      calls = 0;
    },
  };
}

/** Full, refused by a quota, locked by somebody else. */
const FAULTS = [13, 778, 5];

test('a disk that fails at any step loses nothing, doubles nothing, and leaves one segment to go on with', () => {
  const driver = loadDriver();
  const deliveries = fc.array(fc.record({ count: fc.integer({ min: 0, max: 40 }), opens: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  });
  const faults = fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.constantFrom(...FAULTS)), { maxLength: 12 });
  fc.assert(
    fc.property(deliveries, faults, (wanted, broken) =>
      inScratch((directory) => {
        const options: RecordWriterOptions = { directory, sync: 'none', segmentRows: 20, segmentAge: 1e15, session };
        const disk = failing(driver, new Map(broken));
        const { writer } = RecordWriter.open(disk, options);
        disk.begin();
        /** As the thread does it: again until it is done. */
        const insist = <T>(work: () => T): T => {
          for (let tries = 0; ; tries++)
            try {
              return work();
            } catch (error) {
              if (tries > broken.length || !('errcode' in (error as object))) throw error;
            }
        };
        let port = 1;
        let key = 0;
        let now = 1e12;
        for (const { count, opens } of wanted) {
          const batch = batchOf(port, count, opens ? ++key : undefined);
          port += count;
          now += 1_000_000;
          insist(() => writer.write({ batch, gaps: [], alive: now, now }));
          insist(() => writer.turn(now));
        }
        writer.close();
        const files = segmentFiles(directory);
        const rows = files.flatMap(({ path, name }, n) => {
          const file = driver.open(path, { readOnly: true });
          const [closed] = file.prepare("SELECT value FROM meta WHERE name = 'closed'").all();
          assert.equal(closed !== undefined, n < files.length - 1, `${name} is closed unless it is the last`);
          const found = file.prepare('SELECT seq, sport FROM flow ORDER BY seq').all();
          if (n === files.length - 1) assert.equal(file.prepare('SELECT 1 FROM open').all().length, key);
          file.close();
          return found.map((row) => [row['seq'], row['sport']]);
        });
        assert.deepEqual(
          rows,
          rows.map((_, n) => [n + 1, n + 1]),
        );
        assert.equal(rows.length, port - 1);
        assert.deepEqual(
          // What could not be closed keeps its log.
          readdirSync(directory).filter((name) => !files.some((file) => name.startsWith(file.name))),
          [],
        );
      }),
    ),
    { numRuns: 30 },
  );
});

test('a reader that does not let go keeps the log from growing for ever: a new segment begins', () =>
  inScratch((directory) => {
    const driver = loadDriver();
    const mostLog = 6 * 1024 * 1024;
    const { writer } = RecordWriter.open(driver, {
      directory,
      sync: 'none',
      segmentRows: 1e9,
      segmentAge: 1e15,
      session,
      mostLog,
    });
    let port = 0;
    const deliver = () => {
      writer.write({ batch: batchOf(port, 5000), gaps: [], now: 1e12 });
      port += 5000;
      return writer.turn(1e12);
    };
    for (let n = 0; n < 8; n++) assert.equal(deliver(), undefined, 'without a reader it goes on');
    const reader = driver.open(writer.segment.path, { readOnly: true });
    reader.exec('BEGIN');
    const [before] = reader.prepare('SELECT count(*) AS n FROM flow').all();
    let ended: ReturnType<typeof deliver>;
    for (let n = 0; n < 100 && !ended; n++) ended = deliver();
    assert.equal(ended?.number, 1);
    assert.equal(reader.prepare('SELECT count(*) AS n FROM flow').all()[0]!['n'], before!['n']);
    reader.exec('COMMIT');
    reader.close();
    assert.equal(deliver(), undefined);
    writer.close();
    const all = new RecordDirectory(directory, driver).state().segments.map(({ meta }) => meta.firstSeq);
    assert.deepEqual(all, [1, port - 5000 + 1]);
  }));

test('another filter begins another segment, which says so', () =>
  inScratch((directory) => {
    const driver = loadDriver();
    const open = (filter: string | undefined) =>
      RecordWriter.open(driver, {
        directory,
        sync: 'none',
        segmentRows: 1e9,
        segmentAge: 1e15,
        session: { ...session, ...(filter === undefined ? {} : { filter }) },
      });
    for (const filter of ['tcp', 'tcp', undefined, 'udp']) {
      const { writer, resumption } = open(filter);
      assert.equal(resumption.open.length, filter === 'tcp' && resumption.gap === undefined ? 0 : 1);
      const open1 = batchOf(1, 1, 7);
      writer.write({ batch: open1, gaps: [], alive: 1e12, now: 1e12, last: true });
      writer.close();
    }
    const { segments } = new RecordDirectory(directory, driver).state();
    assert.deepEqual(
      segments.map(({ meta }) => [meta.filter, meta.firstSeq]),
      [
        ['tcp', 1],
        [undefined, 3],
        ['udp', 4],
      ],
    );
  }));

test('the gap after a crash begins with the last checkpoint: what began later, and has ended, is lost', () =>
  inScratch((directory) => {
    const options = { directory, sync: 'none', segmentRows: 1e9, segmentAge: 1e15, session } as const;
    const { writer } = RecordWriter.open(loadDriver(), options);
    writer.write({ batch: batchOf(1, 1), gaps: [], now: 100, alive: 100, openTo: 40 });
    writer.close();
    const again = RecordWriter.open(loadDriver(), options);
    assert.deepEqual(again.resumption.gap, { from: 40, reason: 'crash' });
    // Who ends by itself writes down everything.
    again.writer.write({ batch: batchOf(2, 1), gaps: [], now: 200, alive: 200, openTo: 200, last: true });
    again.writer.close();
    const last = RecordWriter.open(loadDriver(), options);
    assert.deepEqual(last.resumption.gap, { from: 200, reason: 'stopped' });
    last.writer.close();
  }));
