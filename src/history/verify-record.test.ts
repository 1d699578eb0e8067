// verifyRecord: whatever is changed, taken away or exchanged is found, and nothing else is.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { makeFlow } from '../testing/index.js';
import { loadDriver } from './driver/load-driver.js';
import { addToManifest, manifestPath, readManifest } from './manifest.js';
import { ENDED, RecordBatch } from './record-batch.js';
import { COLUMN } from './record-columns.js';
import { RecordWriter } from './record-writer.js';
import { hashOf, sealSegment } from './seal-segment.js';
import type { SegmentFile } from './segment-files.js';
import { type RecordVerification, verifyRecord } from './verify-record.js';

const driver = loadDriver();
const session = { from: 1, boot: 'b', sysctls: {}, options: {}, version: '0', noDestination: false };
const view = new FlowViews().of(
  makeFlow({ protocol: 'udp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1, dport: 53 }, status: ['CONFIRMED'] }),
);
const ROWS = 5;
const FILES = 3;

let scratch = '';
let files: readonly SegmentFile[] = [];
before(async () => {
  scratch = mkdtempSync(`${tmpdir()}/conntrack-verify-`);
  files = await write(scratch);
});
after(() => rmSync(scratch, { recursive: true }));

/** A record with sealed files, and one that is written to. */
async function write(directory: string): Promise<readonly SegmentFile[]> {
  const { writer } = RecordWriter.open(driver, { directory, sync: 'none', segmentRows: 1e9, segmentAge: 1e15, session });
  const sealed: SegmentFile[] = [];
  for (let n = 0; n <= FILES; n++) {
    const batch = new RecordBatch();
    for (let row = 0; row < ROWS; row++) {
      batch.add(view, ENDED);
      batch.set(COLUMN.start, 1000 * n + row);
      batch.set(COLUMN.dur, 1);
      batch.set(COLUMN.ob, 10);
    }
    writer.write({ batch: batch.take(), gaps: [], now: 1000 * n, alive: 1000 * n });
    if (n === FILES) break;
    const file = writer.rotate(1000 * (n + 1))!;
    const { rows, sha256 } = await sealSegment(driver, file.path, 1);
    addToManifest(directory, { what: 'sealed', segment: file.name, at: new Date(0).toISOString(), rows, sha256 });
    sealed.push(file);
  }
  writer.close();
  return sealed;
}

/** What is found after a change, which is undone. */
async function changed(file: string, change: (path: string) => void | Promise<void>): Promise<readonly string[]> {
  const path = `${scratch}/${file}`;
  copyFileSync(path, `${path}.kept`);
  chmodSync(path, 0o640);
  try {
    await change(path);
    const { ok, faults } = await verifyRecord(scratch);
    assert.equal(ok, faults.length === 0);
    return faults.map(({ text }) => text);
  } finally {
    renameSync(`${path}.kept`, path);
  }
}

const inFile = (statement: string) => (path: string) => {
  const open = driver.open(path);
  open.exec(statement);
  open.close();
};
const manifest = () => manifestPath(scratch).slice(scratch.length + 1);
const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');

test('a record that nobody changed', async () => {
  const found: RecordVerification = await verifyRecord(scratch);
  assert.deepEqual([found.ok, found.faults, found.segments.length, found.unsealed.length], [true, [], FILES, 1]);
  assert.deepEqual(
    found.segments.map(({ name, first, last, records, forgotten }) => [name, first, last, records, forgotten]),
    files.map(({ name }, n) => [name, n * ROWS + 1, (n + 1) * ROWS, ROWS, 0]),
  );
  assert.deepEqual(found.manifest, { lines: FILES, last: readManifest(scratch).hashes.at(-1) });
  for (const known of readManifest(scratch).hashes) assert.equal((await verifyRecord(scratch, { known })).ok, true);
  const foreign = await verifyRecord(scratch, { known: 'ab'.repeat(32) });
  assert.match(foreign.faults[0]!.text, /no line has the SHA-256 abab/);
  await assert.rejects(verifyRecord(scratch, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});

test('a row is changed, taken out or added', async () => {
  const { name } = files[1]!;
  for (const statement of ['UPDATE flow SET src = 1', 'DELETE FROM flow WHERE seq = 7', 'INSERT INTO gap (reason) VALUES (1)'])
    assert.equal((await changed(name, inFile(statement)))[0], `${name} was changed`);
});

test('a file is changed, and the manifest made anew: numbers, sums and the other files tell', async () => {
  const [first, second] = files as [SegmentFile, SegmentFile];
  /** As who knows how it is done would; `at`: when it is said to have happened. */
  const forged = async (statement: string, at?: string) => {
    copyFileSync(manifestPath(scratch), `${scratch}/kept`);
    try {
      return await changed(first.name, async (path) => {
        inFile(statement)(path);
        const sha256 = await hashOf(path);
        const lines = readManifest(scratch).lines;
        rmSync(manifestPath(scratch));
        for (const { previous: _, ...line } of lines)
          addToManifest(scratch, { ...line, ...(line.segment === first.name ? { sha256 } : {}), ...(at ? { at } : {}) });
      });
    } finally {
      renameSync(`${scratch}/kept`, manifestPath(scratch));
    }
  };
  const tied = (name: string) => `${name} was sealed when the manifest had a line that it no longer has`;
  assert.deepEqual(
    await forged('UPDATE flow SET src = 1'),
    files.slice(1).map(({ name }) => tied(name)),
  );
  assert.equal((await forged('DELETE FROM flow WHERE seq = 3'))[0], `${first.name} lacks 1 of its records`);
  assert.equal((await forged('UPDATE flow SET ob = 11 WHERE seq = 3'))[0], `${first.name} has other sums than rows: ob`);
  assert.ok((await forged('SELECT 1', new Date(1).toISOString())).includes(tied(second.name)));
});

test('lines of the manifest are changed, taken out, or cut off', async () => {
  const without = (n: number) => (path: string) => writeFileSync(path, `${linesOf(path).toSpliced(n, 1).join('\n')}\n`);
  assert.equal((await changed(manifest(), without(1)))[0], 'manifest.ndjson: line 2 does not follow from the line before');
  assert.deepEqual(await changed(manifest(), without(FILES - 1)), [
    `${files[FILES - 1]!.name} is sealed, and the manifest does not have it`,
  ]);
  const gone = await changed(manifest(), rmSync);
  assert.equal(gone.filter((text) => text.endsWith('is sealed, and the manifest does not have it')).length, FILES);
  const edited = await changed(manifest(), (path) =>
    writeFileSync(path, readFileSync(path, 'utf8').replace('"rows":5', '"rows":6')),
  );
  assert.equal(edited[0], 'manifest.ndjson: line 2 does not follow from the line before');
  // Power failed while a line was written: it says nothing, and the next one takes its place.
  const torn = await changed(manifest(), (path) => {
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"what":"dele`);
    addToManifest(scratch, { what: 'rewritten', segment: files[0]!.name, at: 'now', rows: 0 });
    assert.equal(readManifest(scratch).lines.length, FILES + 1);
  });
  assert.deepEqual(torn, []);
});

test('a file is missing, and one is exchanged for a pipe', async () => {
  const { name } = files[1]!;
  assert.deepEqual(await changed(name, rmSync), [`${name} is missing`]);
  const deleted = await changed(name, (path) => {
    rmSync(path);
    copyFileSync(manifestPath(scratch), `${scratch}/kept`);
    addToManifest(scratch, { what: 'deleted', segment: name, at: 'now', reason: 'age' });
  }).finally(() => renameSync(`${scratch}/kept`, manifestPath(scratch)));
  assert.deepEqual(deleted, []);
  assert.deepEqual(
    await changed(name, (path) => {
      rmSync(path);
      execFileSync('mkfifo', [path]);
    }),
    [`${name} is no ordinary file`],
  );
});
