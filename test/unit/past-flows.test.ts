// Flows of the past as lists, lines and sums; times; and directories that change while they are read.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { toJson } from '../../src/ctnetlink/plain.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { loadDriver, loadDrivers } from '../../src/history/driver/load-driver.js';
import { exportParquet } from '../../src/history/export-parquet.js';
import { historySchema } from '../../src/history/history-schema.js';
import { formatMoment, parseMoment, parseSpan } from '../../src/history/moments.js';
import { openHistory } from '../../src/history/open-history.js';
import { CSV_HEADER, lineMaker, type PastLineFormat } from '../../src/history/past-lines.js';
import { SEALING_STATEMENTS } from '../../src/history/record-schema.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { writeMeta } from '../../src/history/segment-meta.js';
import { answerJson } from '../../src/history/who-had-text.js';
import { safeJson } from '../../src/safe-text.js';
import { schemaFault } from '../support/json-schema.js';
import {
  asOpen,
  CLOSED_ROW,
  inRecord,
  ipv4,
  type PastRow,
  randomRow,
  SECOND,
  T0,
  TRANSLATED_ROW,
  writeRecord,
} from '../support/past-record.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const { gunzipSync, zstdDecompressSync } = zlib as typeof zlib & { zstdDecompressSync?: (bytes: Uint8Array) => Uint8Array };
const driver = loadDriver();
const DAY = 86_400 * SECOND;
const whole = { opened: T0 - DAY, alive: T0 + DAY, ended: true };
const row = (more: PastRow = {}): PastRow => ({ ...TRANSLATED_ROW, ...CLOSED_ROW, dur: 1_500_000, ...more });

async function linesOf(path: string, format: PastLineFormat, options = {}): Promise<string[]> {
  const history = await openHistory(path, { now: () => T0 / 1000 + 10_000 });
  const lines: string[] = [];
  for await (const some of history.read(undefined, options, () => lineMaker(format)))
    for (const { line } of some) if (line !== undefined) lines.push(line);
  return lines;
}

test('times of questions', () => {
  const now = T0 + 123_456;
  const second = { from: T0, to: T0 + SECOND };
  for (const text of ['2026-03-01T14:32:15Z', '2026-03-01T15:32:15+01:00', '2026-03-01t09:02:15-05:30', '2026-03-01 14:32:15Z'])
    assert.deepEqual(parseMoment(text, now), second, text);
  assert.deepEqual(parseMoment('2026-03-01T14:32:15.25Z', now), { from: T0 + 250_000, to: T0 + 250_001 });
  assert.deepEqual(parseMoment('now', now), { from: now, to: now + 1 });
  assert.deepEqual(parseMoment('0s-ago', now), second);
  assert.deepEqual(parseMoment('15m-ago', now), { from: T0 - 900 * SECOND, to: T0 - 899 * SECOND });
  for (const text of [
    '',
    'yesterday',
    '14:32',
    '2026-02-30T00:00:00Z',
    '1772375535',
    '2026-03-01T25:00:00Z',
    '-5m-ago',
    '99999999d-ago',
  ])
    assert.throws(() => parseMoment(text, now), { code: 'VALUE' }, text);
  assert.throws(() => parseMoment('2026-03-01 14:32', now), {
    message: '"2026-03-01 14:32" does not say of which time zone it is',
    hint: /^give the offset: 2026-03-01T14:32:00Z if it is UTC, or 2026-03-01T14:32:00[+-]\d\d:\d\d if it/,
  });
  // A time that is known, in another form than RFC 3339: how to write it.
  for (const [text, hint] of [
    ['1772375535', 'if these are seconds since 1970, it is 2026-03-01T14:32:15Z'],
    ['1772375535250', 'if these are milliseconds since 1970, it is 2026-03-01T14:32:15.250Z'],
    ['2026-03-01T15:32:15+0100', 'write it as 2026-03-01T15:32:15+01:00'],
    ['2026-03-01 15:32:15 +0100', 'write it as 2026-03-01T15:32:15+01:00'],
    ['[01/Mar/2026:15:32:15 +0100]', 'write it as 2026-03-01T15:32:15+01:00'],
    ['Sun, 1 Mar 2026 15:32:15 +0100', 'write it as 2026-03-01T15:32:15+01:00'],
    ['2026-03-01T14:32Z', 'with seconds: 2026-03-01T14:32:00Z; --within looks before and after'],
  ] as const) {
    assert.throws(() => parseMoment(text, now), { hint }, text);
    const written = /\d{4}-\S+(?:Z|:\d\d)/.exec(hint)![0].replace(';', '');
    assert.ok(parseMoment(written, now), written);
  }
  // A zone with a name may be one of several.
  assert.throws(() => parseMoment('2026-03-01 15:32:15 CET', now), { hint: /^RFC 3339 with the offset/ });
  assert.deepEqual(
    ['2s', '500ms', '10m', '1h', '1d'].map(parseSpan),
    [2, 0.5, 600, 3600, 86_400].map((n) => n * SECOND),
  );
  for (const text of ['2', '-2s', 's', '1.5s']) assert.throws(() => parseSpan(text), { code: 'VALUE' });
  assert.equal(formatMoment(T0 + 1), '2026-03-01T14:32:15.000001Z');
  assert.equal(formatMoment(Number.NaN), 'NaN us');
});

test('moments are written as Date writes them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_007_199_253 }), fc.integer({ min: 0, max: 999_999 }), (seconds, fraction) => {
      const expected = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(fraction).padStart(6, '0')}Z`;
      assert.equal(formatMoment(seconds * 1_000_000 + fraction), expected);
    }),
  );
  assert.equal(formatMoment(Date.UTC(2000, 1, 29, 23, 59, 59) * 1000), '2000-02-29T23:59:59.000000Z');
  assert.equal(formatMoment(-1), '1969-12-31T23:59:59.999999Z');
});

test('a local time is told with what it may mean here', async () => {
  const script = `
    const { parseMoment } = await import('${new URL('../../src/history/moments.js', import.meta.url)}');
    for (const text of ['2026-03-01 14:32:15', '2026-10-25T02:30:00'])
      try { parseMoment(text, 0); } catch ({ hint }) { console.log(hint); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { ...process.env, TZ: 'Europe/Berlin' } });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  await new Promise((resolve) => child.on('close', resolve));
  const [winter, both] = text.split('\n');
  assert.equal(
    winter,
    'give the offset: 2026-03-01T14:32:15Z if it is UTC, or 2026-03-01T14:32:15+01:00 if it is of the zone of this machine, which is ' +
      '2026-03-01T13:32:15Z',
  );
  // The hour that comes twice.
  assert.match(both!, /02:30:00\+02:00 .* 2026-10-25T00:30:00Z, or .*02:30:00\+01:00 .* 2026-10-25T01:30:00Z$/);
});

test('lines of every form', async () =>
  inRecord(async (path) => {
    const open = { ...asOpen(row({ start: T0 + 5 * SECOND, proto: 17, state: null })), seen: T0 + 60 * SECOND };
    writeRecord(driver, path, [
      {
        ...whole,
        rows: [
          row(),
          row({ ns: 1, ext: ipv4('100.64.3.7'), eport: 41002, status: 14 }),
          row({ dport: 80, dur: 2_000_000, opk: null, ob: null, rpk: null, rb: null }),
        ],
        open: [open],
        namespaces: { 1: 'red "1",\n' },
      },
    ]);
    const [text, second, , third] = await linesOf(path, 'text');
    assert.equal(
      text,
      '[1772375536.500000]\t[DESTROY] tcp      6 TIME_WAIT src=100.64.3.7 dst=198.51.100.7 sport=41002 dport=443 packets=12 bytes=12000 ' +
        'src=198.51.100.7 dst=203.0.113.50 sport=443 dport=32768 packets=200 bytes=240000 [ASSURED] mark=0 delta-time=1 [HISTORY]\n',
    );
    assert.match(second!, /^netns=red\\x20\\x221\\x22,\\x0a \[1772375536/);
    assert.match(third!, /^\[1772375540.000000\]\t {4}\[NEW\] udp .*\[OPEN\]\n$/);
    const [json, , , living] = (await linesOf(path, 'ndjson')).map((line) => JSON.parse(line));
    assert.deepEqual(
      [json.original.src, json.reply.dst, json.start, json.end, json.endReason, json.sequence, json.timestamp],
      ['100.64.3.7', '203.0.113.50', '2026-03-01T14:32:15.000000Z', '2026-03-01T14:32:16.500000Z', 'closed', 1, undefined],
    );
    assert.deepEqual(json.quality, { start: 'kernel', end: 'kernel', startSlack: 0, endSlack: 0, counters: 'complete' });
    assert.deepEqual([living.end, living.seen, living.quality.counters], [undefined, '2026-03-01T14:33:15.000000Z', 'none']);
    assert.deepEqual(await linesOf(path, 'nat-log', { to: T0 + 5 * SECOND }), [
      '2026-03-01T14:32:15.000000Z tcp 100.64.3.7:41002 as 203.0.113.50:32768 to 198.51.100.7:443 1 s 252000 bytes\n',
      '2026-03-01T14:32:15.000000Z tcp 100.64.3.7:41002 as 203.0.113.50:32768 to 198.51.100.7:80 2 s -\n',
    ]);
    assert.match((await linesOf(path, 'csv'))[1]!, /,closed,"red ""1"",\n",0,0,0,14\r\n$/);
  }));

for (const each of loadDrivers())
  test(`${each.name}: CSV is what the view says`, async () =>
    inRecord(async (path) => {
      const random = new Random(seedFromEnvironment(20260903));
      const rows = Array.from({ length: 300 }, () => randomRow(random, T0));
      const [name] = writeRecord(each, path, [{ ...whole, rows, namespaces: { 1: 'one', 2: 'two' } }]);
      const file = each.open(`${path}/${name}`, { readOnly: true });
      const view = file.prepare('SELECT * FROM flows ORDER BY seq', { wide: true }).all();
      file.close();
      assert.equal(`${Object.keys(view[0]!).join(',')}\r\n`, CSV_HEADER);
      const full = (text: unknown) =>
        typeof text === 'string' && text.includes(':') && !text.endsWith('Z') ? long(text) : String(text ?? '');
      const lines = (await linesOf(path, 'csv')).map((line) => line.trimEnd().split(',').map(full));
      assert.deepEqual(
        lines,
        view.map((row) => Object.values(row).map(full)),
      );
    }));

test('Parquet has what CSV has, in groups of rows, and says what the record lacks', async () =>
  inRecord(async (path) => {
    const random = new Random(seedFromEnvironment(20260906));
    const rows = Array.from({ length: 20_000 }, () => randomRow(random, T0));
    const gaps = [{ from: T0, to: T0 + SECOND, reason: 'overrun', events: 3 }];
    const open = [asOpen(row({ start: T0 + 5 * SECOND }))];
    writeRecord(driver, path, [{ ...whole, rows, open, gaps, namespaces: { 1: 'one', 2: 'zwö' } }]);
    const history = await openHistory(path);
    const parts: Uint8Array[] = [];
    for await (const part of exportParquet(history)) parts.push(part);
    const file = Uint8Array.from(Buffer.concat(parts)).buffer;
    const metadata = await parquetMetadataAsync(file);
    assert.deepEqual(
      metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
      [16_384, 3_617],
    );
    const about = JSON.parse(metadata.key_value_metadata!.find(({ key }) => key === 'conntrack')!.value!);
    assert.equal(about.gaps[0].events, 3);
    assert.equal(about.segments.length, 1);
    const compressors = {
      GZIP: (bytes: Uint8Array) => gunzipSync(bytes),
      ZSTD: (bytes: Uint8Array) => zstdDecompressSync!(bytes),
    };
    const read = await parquetReadObjects({ file, metadata, compressors });
    // Times of objects have milliseconds: the rest of them is compared in what the file says.
    const parsers = { timestampFromMicroseconds: Number } as never;
    const plain = await parquetReadObjects({ file, metadata, compressors, parsers });
    const cell = (value: unknown) => (value === undefined || value === null ? '' : String(value));
    const lines = (await linesOf(path, 'csv')).map((line) => line.trimEnd().split(','));
    assert.equal(read.length, lines.length);
    for (const [n, line] of lines.entries()) {
      const { start, end, ...rest } = plain[n]!;
      const { start: began } = read[n]!;
      assert.equal((began as Date).toISOString().slice(0, 23), line[1]!.slice(0, 23));
      const times = [start, end].map((at) => (at === undefined || at === null ? '' : formatMoment(at)));
      const [seq, ...others] = Object.values(rest).map(cell);
      assert.deepEqual([seq, ...times, ...others], line);
    }
  }));

/** An IPv6 address in full. */
function long(text: string): string {
  const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = (a: string, b: string) => ((Number(a) << 8) | Number(b)).toString(16);
  const plain = v4 ? `${v4[1]}${hex(v4[2]!, v4[3]!)}:${hex(v4[4]!, v4[5]!)}` : text;
  const [head = '', tail] = plain.split('::');
  const groups = (part = '') => (part === '' ? [] : part.split(':'));
  const zeros = tail === undefined ? [] : new Array(8 - groups(head).length - groups(tail).length).fill('0');
  return [...groups(head), ...zeros, ...groups(tail)].map((group) => group.padStart(4, '0')).join(':');
}

test('flows of a span, in their order, newest first, and no more than wanted', async () =>
  inRecord(async (path) => {
    const rows = Array.from({ length: 2000 }, (_, n) => row({ start: T0 + n * SECOND, dur: 10 * SECOND }));
    const some = (from: number, to: number) => rows.slice(from, to);
    writeRecord(driver, path, [
      { rows: some(0, 900), opened: T0 - 1, closed: T0 + 910 * SECOND, sealed: true },
      { rows: some(900, 1000), opened: T0 + 910 * SECOND, closed: T0 + 1010 * SECOND },
      {
        ...whole,
        rows: some(1000, 2000),
        opened: T0 + 1010 * SECOND,
        open: [{ ...asOpen(row({ start: T0 + 1500 * SECOND })), seen: T0 }],
      },
    ]);
    const history = await openHistory(path);
    const numbers = async (options: object) => {
      const found: (number | undefined)[] = [];
      for await (const { sequence } of history.flows('tcp', options)) found.push(sequence);
      return found;
    };
    const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
    assert.deepEqual(await numbers({}), [...upTo(1, 2000), undefined]);
    assert.deepEqual(await numbers({ newestFirst: true }), [undefined, ...upTo(1, 2000).reverse()]);
    assert.deepEqual(await numbers({ newestFirst: true, limit: 3 }), [undefined, 2000, 1999]);
    assert.deepEqual(await numbers({ limit: 0 }), []);
    assert.deepEqual(await numbers({ from: T0 + 905 * SECOND, to: T0 + 910 * SECOND }), upTo(896, 910));
    assert.deepEqual(
      await numbers({ from: '2026-03-01T15:05:20Z', to: '2026-03-01T15:05:21Z', limit: 2 }),
      [1976, 1977].map((n) => n),
    );
    await assert.rejects(numbers({ from: T0, to: T0 }), { code: 'VALUE' });
    const abort = new AbortController();
    abort.abort();
    await assert.rejects(numbers({ signal: abort.signal }), { name: 'AbortError' });
  }));

test('sums of flows are those of brute force', async () =>
  inRecord(async (path) => {
    const random = new Random(seedFromEnvironment(20260904));
    const rows = Array.from({ length: 1200 }, (_, n) => randomRow(random, T0 + n * SECOND));
    const some = (from: number, to: number) => rows.slice(from, to);
    const times = (n: number) => T0 + n * SECOND;
    writeRecord(driver, path, [
      { rows: some(0, 400), opened: times(-60), closed: times(520), sealed: true },
      { rows: some(400, 800), opened: times(520), closed: times(1000), sealed: true },
      { ...whole, rows: some(800, 1200), opened: times(1000) },
    ]);
    // As an older version sealed it.
    const older = driver.open(segmentFiles(path)[0]!.path);
    older.exec('DROP TABLE outside; DROP TABLE service');
    older.close();
    const history = await openHistory(path);
    const keys = {
      src: (row: PastRow) => String(row.src),
      dst: (row: PastRow) => (row.dst === undefined ? undefined : String(row.dst)),
      snat: (row: PastRow) => (String(row.src) === String(row.ext) && row.sport === row.eport ? undefined : String(row.ext)),
      protocol: (row: PastRow) => String(row.proto),
      service: (row: PastRow) =>
        row.dport === undefined || row.proto === 1 || row.proto === 58 ? undefined : `${row.proto}/${row.dport}`,
    };
    for (const by of ['src', 'dst', 'snat', 'protocol', 'service'] as const)
      for (const span of [undefined, { from: times(100), to: times(700) }, { from: times(-1000), to: times(5000) }])
        for (const filter of [undefined, 'tcp or udp']) {
          const wanted = new Map<string, [number, bigint]>();
          for (const row of rows) {
            const key = keys[by](row);
            const end = (row.start as number) + (row.dur as number);
            if (key === undefined || (span && !(end >= span.from && end < span.to))) continue;
            if (filter && row.proto !== 6 && row.proto !== 17) continue;
            const [flows, bytes] = wanted.get(key) ?? [0, 0n];
            wanted.set(key, [
              flows + 1,
              bytes + BigInt((row.ob as number | undefined) ?? 0) + BigInt((row.rb as number | undefined) ?? 0),
            ]);
          }
          // The spans are so far from the beginnings of segments that whole ones are used.
          const groups = await history.top({ by, limit: 1000, filter, ...span });
          const given = groups.map(({ flows, bytes = 0n, replyBytes = 0n }) => [flows, bytes + replyBytes]);
          const order = (a: readonly unknown[], b: readonly unknown[]) => (String(a) < String(b) ? -1 : 1);
          assert.deepEqual(given.sort(order), [...wanted.values()].sort(order), `${by} ${JSON.stringify(span)} ${filter}`);
        }
    const two = await history.top({ by: 'protocol', sort: 'flows', limit: 2 });
    assert.equal(two.length, 2);
    assert.ok(two[0]!.flows >= two[1]!.flows);
    const least = await history.top({ by: 'protocol', sort: 'flows', limit: 1, reverse: true });
    assert.ok(least[0]!.flows <= two[1]!.flows);
  }));

test('while a recorder writes: a segment is sealed and another begun between the look and the reading', async () =>
  inRecord(async (path) => {
    const living = { ...asOpen(row({ start: T0 })), seen: T0 + SECOND };
    writeRecord(driver, path, [{ ...whole, rows: [row()], open: [living], ended: false }]);
    const [first] = segmentFiles(path);
    const writer = driver.open(first!.path);
    writer.exec('PRAGMA journal_mode = WAL');
    writer.exec(`BEGIN; UPDATE meta SET value = value + 1 WHERE name = 'alive'; COMMIT`);
    const history = await openHistory(path);
    const list = async () => {
      const found: string[] = [];
      for await (const { sequence, end } of history.flows())
        found.push(`${sequence ?? 'lives'}${end === undefined ? '' : ' ended'}`);
      return found;
    };
    assert.deepEqual(await list(), ['1 ended', 'lives']);
    // A reader in the middle of its list.
    const slow = history.flows();
    assert.equal((await slow.next()).value?.sequence, 1);
    writeRecord(driver, path, [{ ...whole, number: 2, opened: T0 + DAY, rows: [], open: [living], ended: false }]);
    writer.exec('BEGIN');
    writeMeta(writer, { closed: T0 + DAY, rows: 1, minStart: T0, maxEnd: T0 + DAY });
    writer.exec('COMMIT');
    for (const statement of SEALING_STATEMENTS) writer.exec(statement);
    writer.close();
    assert.equal((await slow.next()).value?.end, undefined, 'it still lived');
    assert.equal((await slow.next()).done, true);
    assert.deepEqual(await list(), ['1 ended', 'lives']);
    rmSync(first!.path);
    assert.deepEqual(await list(), ['lives']);
  }));

test('the event loop stays free while a large segment is read', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: Array.from({ length: 60_000 }, (_, n) => row({ sport: n & 0xffff })) }]);
    const history = await openHistory(path);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    let found = 0;
    for await (const _ of history.flows('src port 7')) found++;
    clearInterval(timer);
    assert.equal(found, 1);
    assert.ok(turns >= 2, `${turns} turns`);
  }));

test('what is printed is what the schema says', async () => {
  const { schema } = makeJsonSchema(historySchema());
  const fits = (name: string, value: unknown) =>
    assert.equal(schemaFault(schema, JSON.parse(safeJson(value)), { $ref: `#/$defs/${name}` }), undefined, name);
  const random = new Random(seedFromEnvironment(20260905));
  await inRecord(async (path) => {
    const rows = Array.from({ length: 200 }, () => randomRow(random, T0));
    const open = Array.from({ length: 30 }, () => asOpen(randomRow(random, T0)));
    const gaps = [{ from: T0, to: T0 + SECOND, reason: 'overrun', events: 3 }];
    const clock = [{ at: T0, delta: 3 * SECOND, class: '< 10 ms' }];
    writeRecord(driver, path, [
      { rows: rows.slice(0, 100), opened: T0 - DAY, closed: T0, sealed: true, gaps },
      { ...whole, number: 3, rows: rows.slice(100), open, clock, opened: T0, namespaces: { 1: 'a', 2: 'b' } },
    ]);
    const history = await openHistory(path);
    for await (const flow of history.flows()) fits('pastFlow', flow);
    let matches = 0;
    for (const address of ['192.0.2.1', '10.0.0.1', '2001:db8::1'])
      for (const port of [80, 443, undefined]) {
        const answer = await history.whoHad({ address, port, at: T0, within: '20s' });
        matches += answer.matches.length;
        fits('whoHadAnswer', JSON.parse(answerJson(answer)));
      }
    assert.ok(matches > 10);
    for (const group of await history.top({ by: 'service' })) fits('pastGroup', toJson(group));
  });
});
