import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { loadDrivers } from './driver/load-driver.js';
import { RecordDirectory } from './record-directory.js';
import { RecordWriter } from './record-writer.js';

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
