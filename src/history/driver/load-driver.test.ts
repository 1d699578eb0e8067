import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { loadDrivers } from './load-driver.js';
import { isSqliteError } from './sqlite-errors.js';

test('there is a package with SQLite', () => {
  assert.notEqual(loadDrivers().length, 0);
  assert.equal(loadDrivers(1).length, 1);
});

for (const driver of loadDrivers()) {
  const inFolder = (name: string, body: (folder: string) => void) =>
    test(`${driver.name}: ${name}`, () => {
      const folder = mkdtempSync(`${tmpdir()}/conntrack-driver-`);
      try {
        body(folder);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

  inFolder('numbers, bigints, blobs and NULL come back as they were', (folder) => {
    const file = driver.open(`${folder}/a.db`);
    file.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c INTEGER)');
    const blob = Uint8Array.from({ length: 16 }, (_, n) => n);
    file.prepare('INSERT INTO t VALUES (?, ?, ?)').run(1, -2_147_483_648, blob);
    file.prepare('INSERT INTO t VALUES (?, ?, ?)').run(2, 2n ** 62n, null);
    file.prepare('INSERT INTO t VALUES (?, ?, ?)').run(3, 1_772_000_000_123_456, 'text');
    const narrow = file.prepare('SELECT * FROM t WHERE a <> ?').all(2);
    assert.deepEqual(
      narrow.map((row) => ({ ...row, c: typeof row['c'] === 'string' ? row['c'] : [...(row['c'] as Uint8Array)] })),
      [
        { a: 1, b: -2_147_483_648, c: [...blob] },
        { a: 3, b: 1_772_000_000_123_456, c: 'text' },
      ],
    );
    const arrays = file.prepare('SELECT b, c FROM t WHERE a <> ? ORDER BY a');
    assert.deepEqual(
      arrays.arrays(2).map(([b, c]) => [b, typeof c === 'string' ? c : [...(c as Uint8Array)]]),
      [
        [-2_147_483_648, [...blob]],
        [1_772_000_000_123_456, 'text'],
      ],
    );
    // The same statement has objects again.
    assert.deepEqual(
      arrays.all(2).map(({ b, c }) => [b, typeof c === 'string' ? c : [...(c as Uint8Array)]]),
      [
        [-2_147_483_648, [...blob]],
        [1_772_000_000_123_456, 'text'],
      ],
    );
    const wide = file.prepare('SELECT b, c FROM t WHERE a = ?', { wide: true });
    assert.deepEqual(wide.arrays(2), [[2n ** 62n, null]]);
    assert.deepEqual({ ...wide.all(2)[0] }, { b: 2n ** 62n, c: null });
    assert.deepEqual(
      [...file.prepare('SELECT a FROM t ORDER BY a DESC').iterate()].map(({ a }) => a),
      [3, 2, 1],
    );
    assert.deepEqual(wide.all(9), []);
    const byBlob = file.prepare('SELECT a FROM t WHERE c = ?');
    assert.deepEqual(
      byBlob.all(blob).map(({ a }) => a),
      [1],
    );
    assert.deepEqual(byBlob.all(null), []);
    file.close();
  });

  inFolder('what is opened for reading cannot be changed', (folder) => {
    const file = driver.open(`${folder}/a.db`);
    file.exec('CREATE TABLE t (a)');
    const reader = driver.open(`${folder}/a.db`, { readOnly: true });
    assert.throws(() => reader.exec('INSERT INTO t VALUES (1)'));
    assert.deepEqual(reader.prepare('SELECT * FROM t').all(), []);
    reader.close();
    file.close();
  });

  inFolder('a file that was read is let go of at once', (folder) => {
    const path = `${folder}/it's 100%.db`;
    const writer = driver.open(path);
    writer.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    writer.exec('PRAGMA journal_mode = WAL');
    writer.exec('INSERT INTO t VALUES (2)');
    const reader = driver.open(path, { readOnly: true });
    reader.exec('BEGIN');
    const statement = reader.prepare('SELECT a FROM t');
    assert.equal(statement.all().length, 2);
    assert.deepEqual(
      reader
        .prepare(`SELECT name FROM ${reader.schema}.sqlite_master`)
        .all()
        .map(({ name }) => name),
      ['t'],
    );
    assert.throws(() => reader.exec('INSERT INTO t VALUES (3)'));
    writer.exec('PRAGMA busy_timeout = 1');
    assert.throws(
      () => writer.exec('PRAGMA journal_mode = DELETE'),
      (error) => isSqliteError(error, 'SQLITE_BUSY'),
    );
    reader.close();
    writer.exec('PRAGMA journal_mode = DELETE');
    writer.close();
    assert.equal(statement === undefined, false); // it is not what lets go of the file
    assert.throws(() => driver.open(`${folder}/none.db`, { readOnly: true }).prepare('SELECT 1').all());
    assert.deepEqual(readdirSync(folder), ["it's 100%.db"]);
  });

  inFolder('errors are told apart', (folder) => {
    writeFileSync(`${folder}/bad.db`, 'no database at all '.repeat(500));
    assert.throws(
      () => driver.open(`${folder}/bad.db`, { readOnly: true }).prepare('SELECT * FROM sqlite_master').all(),
      (error) => isSqliteError(error, 'SQLITE_NOTADB') && !isSqliteError(error, 'SQLITE_FULL', 'SQLITE_BUSY'),
    );
    const small = driver.open(`${folder}/small.db`);
    small.exec('CREATE TABLE t (a)');
    small.exec('PRAGMA max_page_count = 3');
    const insert = small.prepare('INSERT INTO t VALUES (?)');
    assert.throws(
      () => insert.run('x'.repeat(100_000)),
      (error) => isSqliteError(error, 'SQLITE_FULL') && !isSqliteError(error, 'SQLITE_NOTADB'),
    );
    const other = driver.open(`${folder}/small.db`);
    other.exec('PRAGMA busy_timeout = 1');
    small.exec('BEGIN IMMEDIATE');
    assert.throws(
      () => other.exec('BEGIN IMMEDIATE'),
      (error) => isSqliteError(error, 'SQLITE_BUSY'),
    );
    other.close();
    small.close();
  });
}
