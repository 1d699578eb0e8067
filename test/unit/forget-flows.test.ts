// Records that are taken out: of files that are sealed, that wait to be, and of the one that is written; and what stays.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import { forgetFlows } from '../../src/history/forget-flows.js';
import { addToManifest, readManifest } from '../../src/history/manifest.js';
import { openHistory } from '../../src/history/open-history.js';
import { RecordWriter } from '../../src/history/record-writer.js';
import { hashOf } from '../../src/history/seal-segment.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { asOpen, columnOf, inRecord, type PastRow, randomRow, SECOND, T0, writeRecord } from '../support/past-record.js';
import { PROJECT } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const driver = loadDriver();
const DAY = 86_400 * SECOND;
/** Bytes that nothing else in a file has. */
const WHO = [0x20, 1, 13, 184, 0xfe, 0xed, 0xbe, 0xef, 0xca, 0xfe, 0xf0, 0x0d, 1, 2, 3, 4];
const ADDRESS = '2001:db8:feed:beef:cafe:f00d:102:304';
const reason = 'request 17';

const theirs = (start: number): PastRow => ({
  ...{ start, dur: 10 * SECOND, sslack: SECOND, eslack: 0, src: columnOf(WHO), dst: columnOf([...WHO.slice(0, 15), 9]) },
  ...{ sport: 5000, dport: 443, ext: columnOf(WHO), eport: 5000, proto: 6, status: 14, opk: 1, ob: 100, rpk: 1, rb: 100, how: 0 },
});

/** A sealed file, one that waits to be sealed, and the hot one, each with `theirs` between others. */
async function inThree(body: (path: string, others: number) => Promise<void>): Promise<void> {
  const random = new Random(seedFromEnvironment(20261129));
  const others = (count: number) => Array.from({ length: count }, () => randomRow(random, T0 - DAY));
  await inRecord(async (path) => {
    const [sealed] = writeRecord(driver, path, [
      { rows: [...others(50), theirs(T0 - DAY), ...others(50)], opened: T0 - 2 * DAY, closed: T0 - DAY, sealed: true },
      { rows: [...others(20), theirs(T0 - 1000 * SECOND)], opened: T0 - DAY, closed: T0 },
      {
        ...{ rows: [...others(10), theirs(T0 - 60 * SECOND)], opened: T0, alive: T0 + DAY, ended: true },
        open: [asOpen(theirs(T0)), asOpen(randomRow(random, T0))],
      },
    ]);
    chmodSync(`${path}/${sealed}`, 0o440);
    addToManifest(path, { what: 'sealed', segment: sealed!, at: '', rows: 101, sha256: await hashOf(`${path}/${sealed}`) });
    await body(path, 130);
  });
}

const sequences = async (path: string) => {
  const found: (number | undefined)[] = [];
  for await (const { sequence } of (await openHistory(path)).flows()) found.push(sequence);
  return found;
};
const filesWith = (path: string) =>
  readdirSync(path).filter((name) => readFileSync(`${path}/${name}`).includes(Buffer.from(WHO)));

test('nothing of them is left in any file, everything else is, and the record says so', async () =>
  inThree(async (path, others) => {
    const [sealed, closed, hot] = segmentFiles(path).map(({ name }) => name);
    assert.deepEqual(filesWith(path), [sealed, closed, hot]);
    const known = await openHistory(path);
    assert.equal(known.gaps().length, 0);
    assert.deepEqual(await forgetFlows(path, ADDRESS, { reason, now: () => T0 / 1000 }), {
      records: 3,
      segments: [sealed, closed, hot],
      living: 0,
    });
    assert.deepEqual(filesWith(path), []);
    assert.deepEqual(readdirSync(path).sort(), [sealed, closed, hot, 'forget.key', 'manifest.ndjson'].sort());
    const left = await sequences(path);
    assert.equal(left.length, others + 1);
    assert.deepEqual(
      [51, 122, 133].filter((sequence) => left.includes(sequence)),
      [],
    );
    assert.equal(statSync(`${path}/${sealed}`).mode & 0o777, 0o440);
    // An answer of then is not complete, in a history that was open already, too.
    assert.deepEqual(
      known.gaps().map(({ from, to, reason, incomplete, note }) => [from, to, reason, incomplete, note]),
      [T0 - DAY, T0 - 1000 * SECOND, T0 - 60 * SECOND].map((at) => [
        at - SECOND,
        at + 10 * SECOND,
        'forgotten',
        true,
        '1 record',
      ]),
    );
    const answer = await known.whoHad({ address: ADDRESS, port: 5000, at: T0 - 995 * SECOND });
    assert.deepEqual([answer.complete, answer.matches.length], [false, 0]);
    assert.match(answer.why[0]!, /^forgotten from .* \(1 record\)$/);
    const groups = await known.top({ by: 'src', sort: 'flows', limit: 1000 });
    assert.equal(
      groups.find(({ key }) => key === ADDRESS),
      undefined,
    );
    // The manifest says how many and why, and not who; that can be confirmed.
    const { lines, broken } = readManifest(path);
    assert.equal(broken, undefined);
    const line = lines[1]!;
    assert.deepEqual([line.what, line.segment, line.rows, line.reason], ['rewritten', sealed, 1, reason]);
    assert.deepEqual([line.was, line.sha256], [lines[0]!.sha256, await hashOf(`${path}/${sealed}`)]);
    const key = readFileSync(`${path}/forget.key`, 'utf8');
    assert.equal(statSync(`${path}/forget.key`).mode & 0o777, 0o600);
    assert.equal(line.address, createHmac('sha256', key).update(ADDRESS).digest('hex'));
    const verified = spawnSync(process.execPath, [join(PROJECT, 'bin/conntrack'), 'record', 'verify', '--dir', path], {
      encoding: 'utf8',
    });
    assert.equal(verified.status, 0);
    assert.match(verified.stdout, /^1 sealed file is as it was: \d+ records, 1 taken out, as the manifest says\nnot sealed, /);
    assert.equal((await forgetFlows(path, ADDRESS, { reason })).records, 0);
    assert.equal(readManifest(path).lines.length, 4);
  }));

test('a number that was taken out is not used again', async () =>
  inThree(async (path) => {
    await forgetFlows(path, ADDRESS, { reason });
    const session = { from: T0 + DAY, boot: 'boot', sysctls: {}, options: {}, version: '0', noDestination: false };
    const { writer } = RecordWriter.open(driver, { directory: path, sync: 'none', segmentRows: 1e6, segmentAge: DAY, session });
    try {
      assert.equal(writer.sequence, 133);
      writer.rotate(T0 + 2 * DAY);
    } finally {
      writer.close();
    }
    const last = segmentFiles(path).at(-1)!;
    const file = driver.open(last.path, { readOnly: true });
    try {
      assert.deepEqual(file.prepare("SELECT value FROM meta WHERE name = 'firstSeq'").all()[0]!['value'], 134);
    } finally {
      file.close();
    }
  }));

test('only of a time, of a network, and of real destinations', async () =>
  inThree(async (path) => {
    const forget = (address: string, more = {}) => forgetFlows(path, address, { reason, ...more });
    assert.equal((await forget(ADDRESS, { from: T0 - 1000 * SECOND + 11 * SECOND })).records, 1);
    assert.equal((await forget(ADDRESS, { to: T0 - DAY })).records, 1);
    assert.equal((await forget('2001:db8:feed::/48')).records, 1);
    await forget('0.0.0.0/0');
    await forget('::/0');
    assert.deepEqual(await sequences(path), []);
  }));

test('what is refused', async () =>
  inThree(async (path) => {
    for (const [address, options] of [
      ['nobody', { reason }],
      [ADDRESS, { reason: ' ' }],
      [ADDRESS, { reason: 'x'.repeat(501) }],
      [ADDRESS, { reason, from: 'yesterday' }],
    ] as const)
      await assert.rejects(forgetFlows(path, address, options), { code: 'VALUE' });
    await assert.rejects(forgetFlows(`${path}/none`, ADDRESS, { reason }), { code: 'NOT_A_HISTORY' });
    // What a killed run left is no obstacle.
    writeFileSync(`${segmentFiles(path)[0]!.path}.forget`, 'half');
    assert.equal((await forgetFlows(path, ADDRESS, { reason })).records, 3);
    assert.deepEqual(
      readdirSync(path).filter((name) => name.endsWith('.forget')),
      [],
    );
  }));
