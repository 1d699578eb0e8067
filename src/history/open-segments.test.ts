import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadDrivers } from './driver/load-driver.js';
import type { SqliteFile } from './driver/sqlite.js';
import { OpenSegments } from './open-segments.js';

/** Descriptors of this process for files below a folder, deleted or not. */
const held = (folder: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false; // it was that of the listing
    }
  }).length;

for (const driver of loadDrivers())
  test(`${driver.name}: files stay open for a moment, and what is read is what is there`, async () => {
    const folder = mkdtempSync(`${tmpdir()}/conntrack-open-segments-`);
    const segment = { name: 'a.db', path: `${folder}/a.db`, number: 1 };
    const write = (path: string, value: number) => {
      const file = driver.open(path);
      file.exec(`CREATE TABLE flow (seq INTEGER); INSERT INTO flow VALUES (${value})`);
      file.close();
    };
    const read = (file: SqliteFile) => file.prepare('SELECT seq FROM flow').all()[0]!['seq'];
    const open = new OpenSegments(driver);
    try {
      write(segment.path, 1);
      const first = open.open(segment, { keep: true });
      const second = open.open(segment, { keep: true });
      assert.deepEqual([read(first), read(second)], [1, 1]);
      first.close();
      first.close(); // once is enough
      second.close();
      const idle = held(folder);
      assert.ok(idle >= 2);
      const third = open.open(segment, { keep: true });
      assert.equal(read(third), 1);
      assert.equal(held(folder), idle, 'it was open already');
      third.close();

      // As `history forget` does it.
      write(`${folder}/new`, 2);
      renameSync(`${folder}/new`, segment.path);
      const rewritten = open.open(segment, { keep: true });
      assert.equal(read(rewritten), 2);
      rewritten.close();
      rmSync(segment.path);
      assert.throws(() => open.open(segment, { keep: true }), { code: 'ENOENT' });
      for (let tries = 0; held(folder) > 0 && tries < 100; tries++) await sleep(100);
      assert.equal(held(folder), 0, 'and the space of what was deleted is free');

      write(segment.path, 3);
      open.open(segment).close();
      assert.equal(held(folder), 0, 'a file that is written is not kept');
      open.open(segment, { keep: true }).close();
      open[Symbol.dispose]();
      assert.equal(held(folder), 0);
    } finally {
      open[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    }
  });
