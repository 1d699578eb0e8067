// whohad and history, as they are typed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAddress } from '../../src/ctnetlink/address.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import { historySchema } from '../../src/history/history-schema.js';
import { writeAccess } from '../../src/words/past-values.js';
import { schemaFault } from '../support/json-schema.js';
import {
  CLOSED_ROW,
  columnOf,
  inRecord,
  ipv4,
  type PastRow,
  SECOND,
  T0,
  TRANSLATED_ROW,
  writeRecord,
} from '../support/past-record.js';
import { PROJECT } from '../support/project.js';

const driver = loadDriver();
const DAY = 86_400 * SECOND;

function conntrack(directory: string, ...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(PROJECT, 'bin/conntrack'), ...argv, '--dir', directory], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'Europe/Berlin' },
  });
  return { status, stdout, stderr };
}

const row = (more: PastRow = {}): PastRow => ({
  ...TRANSLATED_ROW,
  ...CLOSED_ROW,
  start: T0 - 16_879_669,
  dur: 63_883_789,
  ...more,
});
const whole = { opened: T0 - DAY, alive: T0 + DAY, ended: true };
const WHEN = ['--at', '2026-03-01T14:32:15Z'];

test('who had an address and port', async () =>
  inRecord((path) => {
    const [name] = writeRecord(driver, path, [
      { ...whole, rows: [row()], clock: [{ at: T0 - DAY, class: 'synchronised within 10 ms' }] },
    ]);
    assert.deepEqual(conntrack(path, 'whohad', '203.0.113.50:32768', ...WHEN), {
      status: 0,
      stdout: `203.0.113.50:32768, 2026-03-01T14:32:15Z (one second)
certain   100.64.3.7:41002 to 198.51.100.7:443 tcp, 14:31:58.120331 to 14:33:02.004120, closed, 12.0 kB sent, 240 kB received
          times of the kernel, clock synchronised within 10 ms; record 1 of ${name}, not sealed yet
The record is complete at this time.
`,
      stderr: '',
    });
    const { status, stdout } = conntrack(path, 'whohad', '203.0.113.50:32768', ...WHEN, '-o', 'json');
    const answer = JSON.parse(stdout);
    assert.deepEqual([status, answer.complete, answer.matches.length], [0, true, 1]);
    assert.deepEqual(
      [answer.question.from, answer.matches[0].start, answer.matches[0].sent],
      ['2026-03-01T14:32:15.000000Z', '2026-03-01T14:31:58.120331Z', { packets: 12, bytes: 12_000 }],
    );
    for (const same of [
      ['--at', '2026-03-01T15:32:15+01:00'],
      [...WHEN, '--protocol', 'tcp'],
      [...WHEN, '--to', '198.51.100.7:443'],
    ])
      assert.equal(conntrack(path, 'whohad', '203.0.113.50:32768', ...same).status, 0, same.join(' '));
    assert.equal(conntrack(path, 'whohad', '203.0.113.50', '32768', ...WHEN).status, 0);
    assert.equal(conntrack(path, 'whohad', '203.0.113.50', '32769', ...WHEN).status, 1);
    assert.match(
      conntrack(path, 'whohad', '203.0.113.50', ...WHEN).stdout,
      /^203\.0\.113\.50, .*\ncertain {3}100\.64\.3\.7, 1 flow, 2026-03-01T14:31:58\.120331Z to /,
    );
  }));

test('an IPv6 address with a port, and one that only looks so', async () =>
  inRecord((path) => {
    const ipv6 = (text: string) => columnOf([...parseAddress(text)!]);
    const one = ipv6('2001:db8::5');
    writeRecord(driver, path, [
      { ...whole, rows: [row({ src: one, sport: 443, ext: one, eport: 443, dst: ipv6('2001:db8::9') })] },
    ]);
    for (const asked of ['[2001:db8::5]:443', '2001:db8:0:0:0:0:0:5:443', '2001:db8::5 443', '2001:db8::5'])
      assert.deepEqual(conntrack(path, 'whohad', ...asked.split(' '), ...WHEN).stderr, '', asked);
    for (const asked of ['[2001:db8::5]:443', '2001:db8:0:0:0:0:0:5:443', '2001:db8::5 443'])
      assert.match(conntrack(path, 'whohad', ...asked.split(' '), ...WHEN).stdout, /^\[2001:db8::5\]:443.*\ncertain/, asked);
    const { status, stderr } = conntrack(path, 'whohad', '2001:db8::5:443', ...WHEN);
    assert.deepEqual(
      [status, stderr],
      [1, 'conntrack: whohad: 2001:db8::5:443 is an address without a port; with port 443 it is [2001:db8::5]:443\n'],
    );
  }));

test('who asks what is written down where that is wanted', async () =>
  inRecord((path) => {
    const access = `${path}/access.ndjson`;
    const host = (uid: number) =>
      ({ argv: ['node', 'conntrack', 'whohad', '203.0.113.50', '--at', 'now'], getuid: () => uid }) as unknown as NodeJS.Process;
    writeAccess([path], host(1000));
    assert.equal(existsSync(access), false);
    writeFileSync(access, '');
    writeAccess([path, `${path}/none`], host(1000));
    writeAccess([path], host(0));
    writeAccess([path], host(1001));
    const lines = readFileSync(access, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ uid, asked }) => [uid, asked]),
      [1000, 1001].map((uid) => [uid, ['whohad', '203.0.113.50', '--at', 'now']]),
    );
    assert.ok(lines.every(({ at }) => Math.abs(Date.parse(at) - Date.now()) < 60_000));
    // Nobody gets an answer that cannot be written down.
    rmSync(access);
    symlinkSync('/dev/null', access);
    assert.throws(() => writeAccess([path], host(1000)), { code: 'ELOOP' });
    // Who may not look into the directory is told so when it is read.
    writeAccess([`${path}/access.ndjson/none`], host(1000));
  }));

test('flows of the past as a file of Parquet', async () =>
  inRecord((path) => {
    writeRecord(driver, path, [{ ...whole, rows: [row()] }]);
    const { status, stdout } = conntrack(path, 'history', '-o', 'parquet');
    assert.deepEqual([status, stdout.slice(0, 4), stdout.slice(-4)], [0, 'PAR1', 'PAR1']);
  }));

test('the question of a policeman: a local time, a wrong port, a gap, two at once', async () =>
  inRecord((path) => {
    const other = row({ src: ipv4('100.64.9.9'), dst: ipv4('192.0.2.1') });
    const gap = { from: T0 - 3600 * SECOND, to: T0 - 3500 * SECOND, reason: 'overrun', events: 12 };
    writeRecord(driver, path, [{ ...whole, rows: [row(), other], gaps: [gap] }]);
    const local = conntrack(path, 'whohad', '203.0.113.50:32768', '--at', '2026-03-01 15:32:15');
    assert.deepEqual([local.status, local.stdout], [2, '']);
    assert.match(
      local.stderr,
      /does not say of which time zone it is\n {2}hint: give the offset: .*15:32:15Z if it is UTC, or .*\+01:00/,
    );
    const wrong = conntrack(path, 'whohad', '203.0.113.50:1', ...WHEN);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stdout, /\nNobody, as far as is recorded\.\nThe record is complete at this time\.\n$/);
    const lost = conntrack(path, 'whohad', '203.0.113.50:32768', '--at', '2026-03-01T13:32:20Z');
    assert.equal(lost.status, 3);
    assert.match(
      lost.stdout,
      /Nobody.*\nThe record is NOT complete at this time:\n {2}overrun from 2026-03-01T13:32:15\.000000Z to .*Z \(the kernel dropped events, /,
    );
    const inside = conntrack(path, 'whohad', '100.64.3.7', ...WHEN);
    assert.equal(inside.status, 1);
    assert.match(
      inside.stdout,
      /^Note: 100\.64\.3\.7 is an inside address, .*: conntrack history src 100\.64\.3\.7 lists its flows\.$/m,
    );
    assert.match(
      conntrack(path, 'whohad', '203.0.113.50:1', ...WHEN, '--protocol', 'udp').stdout,
      /^203\.0\.113\.50:1 udp, 2026/,
    );
    const two = conntrack(path, 'whohad', '203.0.113.50:32768', ...WHEN);
    assert.deepEqual([two.status, two.stdout.match(/^certain/gm)?.length], [0, 2]);
    assert.match(two.stderr, /several had it at once: ask with --to/);
    assert.equal(
      conntrack(path, 'whohad', '203.0.113.50:32768', ...WHEN, '--to', '192.0.2.1').stdout.match(/^certain/gm)?.length,
      1,
    );
  }));

test('mistakes, and records that cannot be read', async () =>
  inRecord((path) => {
    const none = conntrack(path, 'whohad', '203.0.113.50:1', ...WHEN);
    assert.deepEqual([none.status, none.stdout], [4, '']);
    assert.match(none.stderr, /^conntrack: .*: no record is in it\n {2}hint: /);
    assert.equal(conntrack(path, 'history').status, 1);
    const verified = conntrack(path, 'record', 'verify');
    assert.deepEqual([verified.status, verified.stdout], [1, '']);
    assert.match(verified.stderr, /: no record is in it\n/);
    const unasked = conntrack(path, 'record', 'status');
    assert.equal(unasked.status, 1);
    assert.match(unasked.stderr, /no recorder answers in .*\n {2}hint: conntrack record --keep/);
    writeRecord(driver, path, [{ ...whole, rows: [row()] }]);
    for (const argv of [
      ['whohad', ...WHEN],
      ['whohad', '203.0.113.50:1'],
      ['whohad', '203.0.113.50:99999', ...WHEN],
      ['whohad', '203.0.113.50', '99999', ...WHEN],
      ['whohad', '203.0.113.50:1', '2', ...WHEN],
      ['whohad', '203.0.113.50', 'tcp', ...WHEN],
      ['whohad', 'nobody', ...WHEN],
      ['whohad', '203.0.113.0/40', ...WHEN],
      ['whohad', '203.0.113.50:1', ...WHEN, '--within', '2'],
      ['whohad', '203.0.113.50:1', ...WHEN, '--protocol', 'tpc'],
      ['history', 'label 3'],
      ['history', 'not helper ftp'],
      ['history', 'id 7'],
      ['history', 'nonsense'],
      ['history', '--from', 'yesterday'],
      ['history', '--from', '2026-03-02T00:00:00Z', '--to', '2026-03-01T00:00:00Z'],
      ['history', 'gaps', 'tcp'],
      ['history', 'gaps', '-o', 'csv'],
      ['history', 'gaps', '--limit', '3'],
      ['history', 'gaps', '--reason', 'x'],
      ['history', 'segments', '--from', 'now'],
      ['history', '--by', 'src'],
      ['history', 'top', '--newest-first'],
      ['whohad', '203.0.113.0/24/1', ...WHEN],
      ['record', 'status', '--known', '0'.repeat(64)],
      ['record', 'verify', '--known', 'abc'],
      ['history', 'top', '--by', 'mark'],
    ]) {
      const { status, stdout, stderr } = conntrack(path, ...argv);
      assert.deepEqual([status, stdout], [2, ''], argv.join(' '));
      assert.match(stderr, /^conntrack: /);
    }
    // Never text of SQL.
    assert.equal(conntrack(path, 'history', '--netns', "'; DROP TABLE flow; --").stdout, '');
    assert.equal(conntrack(path, 'history').stdout.split('\n').length, 2);
    assert.equal(conntrack(path, 'record', 'verify').stdout, 'no file is sealed yet: there is nothing to compare\n');
  }));

test('what was printed is imported into a directory of its own', async () =>
  inRecord((path) => {
    writeRecord(driver, path, [{ ...whole, rows: [row(), row({ proto: 17, state: null })] }]);
    writeFileSync(`${path}/printed`, conntrack(path, 'history', '-o', 'csv').stdout);
    assert.match(conntrack(path, 'history', 'import', `${path}/printed`).stderr, /is the record of a recorder/);
    const other = `${path}/other`;
    const { status, stdout } = conntrack(other, 'history', 'import', `${path}/printed`);
    assert.deepEqual([status, /: 2 records imported into \d{8}T\d{6}Z-000001\.db\n$/.test(stdout)], [0, true], stdout);
    assert.match(conntrack(other, 'history', 'segments').stdout, /\.db {2}imported /);
    const asked = conntrack(other, 'whohad', '203.0.113.50:32768', ...WHEN);
    assert.equal(asked.status, 3);
    assert.match(asked.stdout, /^possible .*\n.*; record 1 of /m);
    assert.match(asked.stdout, /imported: this recorder did not see it/);
    const both = conntrack(path, 'whohad', '203.0.113.50:32768', ...WHEN, '--dir', other);
    assert.deepEqual([both.status, both.stdout.match(/^certain/gm)?.length, both.stdout.match(/^possible/gm)?.length], [0, 2, 2]);
    for (const words of [[], ['a', 'b'], [`${path}/none`]])
      assert.equal(conntrack(other, 'history', 'import', ...words).status, 2, words.join(' '));
    writeFileSync(`${path}/printed`, '{}\n');
    assert.deepEqual(conntrack(other, 'history', 'import', `${path}/printed`).status, 1);
  }));

test('flows of the past, and what is known of the record', async () =>
  inRecord((path) => {
    const gap = { from: T0, to: T0 + 2 * SECOND, reason: 'overrun', events: 12 };
    const [name] = writeRecord(driver, path, [{ ...whole, rows: [row(), row({ proto: 17, state: null })], gaps: [gap] }]);
    const { status, stdout } = conntrack(path, 'history', 'tcp', '-o', 'json');
    assert.deepEqual([status, JSON.parse(stdout).length], [0, 1]);
    assert.equal(conntrack(path, 'history', 'sctp', '-o', 'json').stdout, '[]\n');
    assert.equal(conntrack(path, 'history', '--limit', '1', '-o', 'csv').stdout.split('\r\n').length, 3);
    assert.equal(conntrack(path, 'history', '--strict').status, 3);
    assert.equal(conntrack(path, 'history', '--strict', '--to', '2026-03-01T14:00:00Z').status, 0);
    assert.equal(
      conntrack(path, 'history', 'gaps').stdout,
      'FROM                         TO                           REASON   THEN        MORE\n' +
        '2026-03-01T14:32:15.000000Z  2026-03-01T14:32:17.000000Z  overrun  incomplete  events=12\n',
    );
    const future = conntrack(path, 'whohad', '203.0.113.50:1', '--at', '2999-01-01T00:00:00Z');
    assert.deepEqual([future.status, future.stderr], [2, 'conntrack: that time is yet to come\n']);
    const { schema } = makeJsonSchema(historySchema());
    for (const [verb, name] of [
      ['gaps', 'recordGap'],
      ['segments', 'recordSegment'],
      ['top', 'pastGroup'],
    ] as const) {
      const [first] = JSON.parse(conntrack(path, 'history', verb, '-o', 'json').stdout);
      assert.equal(schemaFault(schema, first, { $ref: `#/$defs/${name}` }), undefined, verb);
    }
    assert.match(
      conntrack(path, 'history', 'segments').stdout,
      new RegExp(`^FILE +STATE +OPENED +CLOSED +RECORDS +PROBLEM\n.*/${name}  open +2026-02-28T14:32:15.000000Z  - +-\n$`),
    );
    assert.equal(
      conntrack(path, 'history', 'top').stdout,
      'SRC         FLOWS  BYTES  REPLY BYTES  PACKETS  REPLY PACKETS\n100.64.3.7      2  24000       480000       24            400\n',
    );
    assert.match(
      conntrack(path, 'history', 'top', '--by', 'service', '-o', 'ndjson').stdout,
      /^\{"key":"tcp\/443","flows":1,"packets":12,/,
    );
  }));
