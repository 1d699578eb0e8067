// What history prints can be imported, and is the same then, but for where it comes from; what is wrong in a line is told with its number.
// SEED asks for other rows than the usual ones.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ValueError } from '../../src/errors.js';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import { importFlows } from '../../src/history/import-flows.js';
import { CsvRows, rowOfJson } from '../../src/history/imported-row.js';
import { readManifest } from '../../src/history/manifest.js';
import { openHistory } from '../../src/history/open-history.js';
import { CSV_HEADER, lineMaker, type PastLineFormat } from '../../src/history/past-lines.js';
import { RecordWriter } from '../../src/history/record-writer.js';
import { verifyRecord } from '../../src/history/verify-record.js';
import {
  asOpen,
  inRecord,
  ipv4,
  type OpenRow,
  type PastRow,
  randomRow,
  SECOND,
  T0,
  TRANSLATED_ROW,
  writeRecord,
} from '../support/past-record.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const driver = loadDriver();
const DAY = 86_400 * SECOND;
const NAMES = { 1: 'one', 2: '=red "1",\n' };

async function printed(directory: string, format: PastLineFormat): Promise<string[]> {
  const history = await openHistory(directory);
  const lines: string[] = [];
  for await (const some of history.read(undefined, {}, () => lineMaker(format))) lines.push(...some.map(({ line }) => line!));
  return format === 'csv' ? [CSV_HEADER, ...lines] : lines;
}

/** Without what an import cannot keep: where the record was, and that it was seen there. */
function comparable(format: PastLineFormat, lines: readonly string[]): unknown[] {
  if (format === 'ndjson')
    return lines.map((line) => {
      const { sequence: _, segment: __, id: ___, quality, ...flow } = JSON.parse(line);
      const { imported: ____, ...rest } = quality;
      return { ...flow, quality: rest };
    });
  return lines.slice(1).map((line) => {
    const cells = line.replace(/"(?:[^"]|"")*"/g, (text) => text.replaceAll(',', ';')).split(',');
    return cells.map((cell, n) => (n === 0 ? '' : n === 21 ? Number(cell) | 32 : cell));
  });
}

for (const format of ['ndjson', 'csv'] as const)
  test(`flows that are printed as ${format} are the same when they are imported`, async () =>
    inRecord(async (path) => {
      const random = new Random(seedFromEnvironment(20260911));
      const rows = Array.from({ length: 400 }, (_, n) => randomRow(random, T0 + n * SECOND));
      const open = [asOpen(randomRow(random, T0))] as OpenRow[];
      writeRecord(driver, path, [{ rows, open, opened: T0 - DAY, alive: T0 + DAY, namespaces: NAMES }]);
      const before = await printed(path, format);
      writeFileSync(`${path}/printed`, before.join(''));
      const other = `${path}/other`;
      const { records, living, segment } = await importFlows(other, `${path}/printed`, { now: () => T0 / 1000 + 1e9 });
      assert.deepEqual([records, living, readdirSync(other).sort()], [400, 1, [segment, 'manifest.ndjson']]);
      const after = await printed(other, format);
      assert.deepEqual(comparable(format, after), comparable(format, before.slice(0, -1)));
      // Sealed, told and numbered as any other, and another import goes behind it.
      const second = await importFlows(other, `${path}/printed`, { now: () => T0 / 1000 + 1e9 });
      const verified = await verifyRecord(other);
      assert.deepEqual(
        verified.segments.map(({ first, last }) => [first, last]),
        [
          [1, 400],
          [401, 800],
        ],
      );
      assert.deepEqual([verified.ok, verified.unsealed], [true, []]);
      assert.deepEqual(
        readManifest(other).lines.map(({ what, segment, reason }) => [what, segment, reason]),
        [segment, second.segment].map((name) => ['sealed', name, 'imported']),
      );
      const history = await openHistory(other);
      assert.ok(history.segments().every(({ imported, sealed }) => imported && sealed));
      for await (const { quality } of history.flows()) assert.equal(quality.imported, true);
    }));

const row = (more: PastRow = {}): PastRow => ({ ...TRANSLATED_ROW, dur: 10 * SECOND, ...more });

test('imported flows are possible, and take nothing from whether a record is complete', async () =>
  inRecord(async (path) => {
    const [origin, own] = [`${path}/origin`, `${path}/own`];
    for (const each of [origin, own]) mkdirSync(each);
    writeRecord(driver, origin, [{ rows: [row()], opened: T0 - DAY, alive: T0 + DAY, ended: true }]);
    const other = row({ src: ipv4('100.64.3.9') });
    writeRecord(driver, own, [{ rows: [other], opened: T0 - DAY, alive: T0 + DAY, ended: true }]);
    writeFileSync(`${path}/printed`, (await printed(origin, 'ndjson')).join(''));
    const imported = `${path}/imported`;
    await importFlows(imported, `${path}/printed`);
    const question = { address: '203.0.113.50', port: 32768, at: '2026-03-01T14:32:15Z' };
    const alone = await (await openHistory(imported)).whoHad(question);
    assert.deepEqual(
      [alone.complete, alone.matches.map(({ grade, quality }) => [grade, quality.imported])],
      [false, [['possible', true]]],
    );
    assert.match(alone.why.join(), /^these flows were imported: what their origin did not record is not known$/);
    const both = await openHistory([imported, own]);
    const answer = await both.whoHad(question);
    assert.deepEqual(
      [answer.complete, answer.why, answer.matches.map(({ grade, inside }) => [grade, inside.address])],
      [
        true,
        [],
        [
          ['certain', '100.64.3.9'],
          ['possible', '100.64.3.7'],
        ],
      ],
    );
    assert.deepEqual(both.coverage(), (await openHistory(own)).coverage());
    // Whoever records, and whoever imports, keep to their own.
    await assert.rejects(importFlows(own, `${path}/printed`), { code: 'VALUE', message: /is the record of a recorder/ });
    const session = { from: T0, boot: 'b', sysctls: {}, options: {}, version: '0', noDestination: false };
    assert.throws(
      () => RecordWriter.open(driver, { directory: imported, sync: 'none', segmentRows: 1e9, segmentAge: DAY, session }),
      /has imported flows: a recorder needs a directory of its own/,
    );
  }));

test('a line that is none, and nothing of its file is imported', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ rows: [row(), row()], opened: T0 - DAY, alive: T0 + DAY }]);
    const json = await printed(path, 'ndjson');
    const csv = await printed(path, 'csv');
    const other = `${path}/other`;
    const change = (text: string, from: string | RegExp, to: string) => {
      const changed = text.replace(from, to);
      assert.notEqual(changed, text);
      return changed;
    };
    for (const [lines, wrong] of [
      [[json[0]!, '{'], /line 2: it is no JSON/],
      [[json[0]!, '[]\n'], /line 2: the line is no object/],
      [[change(json[0]!, '"src":"100.64.3.7"', '"src":"100.64.3.700"')], /line 1: original\.src is no address/],
      [[change(json[0]!, '"dport":443', '"dport":"443"')], /line 1: dport is no whole number/],
      [[change(json[0]!, '"start":"2026-03-01', '"start":"2027-03-01')], /line 1: it ends before it begins/],
      [[change(json[0]!, '"start":"2026-03-01T14:32:15.000000Z"', '"start":"now"')], /line 1: start is no time/],
      [[change(json[0]!, '"ASSURED"', '"ASURED"')], /line 1: "ASURED" is no status/],
      [[change(json[0]!, '"protonum":6', '"protonum":600')], /line 1: protonum is no whole number/],
      [[change(json[0]!, '{', '{"host":"fw1",')], /line 1: it is of several hosts/],
      [[csv[0]!, csv[1]!, 'a,b\r\n'], /line 3: it has 2 cells, not 25/],
      [[csv[0]!, change(csv[1]!, ',tcp,', ',"tcp,')], /line 2: its quotation marks do not fit/],
      [['a,b\r\n'], /line 1: "a" is no column/],
      [['start,end\r\n'], /line 1: the column protocol is missing/],
      [[`{"a":"${'x'.repeat(70_000)}"}`], /has a line of more than 65536 characters/],
    ] as const) {
      writeFileSync(`${path}/lines`, lines.join(''));
      await assert.rejects(importFlows(other, `${path}/lines`), { code: 'DAMAGED', message: wrong });
      assert.deepEqual(readdirSync(other), []);
    }
    await assert.rejects(importFlows(other, `${path}/none`), { code: 'VALUE' });
    writeFileSync(`${path}/lines`, '');
    assert.deepEqual(await importFlows(other, `${path}/lines`), { records: 0, living: 0 });
    await assert.rejects(importFlows(other, `${path}/lines`, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
    assert.ok(existsSync(other) && readFileSync(`${path}/lines`, 'utf8') === '');
  }));

test('whatever is in a line, it is a row or an error that says why', () => {
  const csv = new CsvRows(CSV_HEADER.trim());
  const json = {
    original: { src: '10.0.0.1', dst: '192.0.2.1', protonum: 17, sport: 1, dport: 53 },
    reply: { src: '192.0.2.1', dst: '10.0.0.1', protonum: 17, sport: 53, dport: 1 },
    start: '2026-03-01T14:32:15Z',
    end: '2026-03-01T14:32:16Z',
    quality: { start: 'kernel', end: 'kernel', startSlack: 0, endSlack: 0, counters: 'none' },
  };
  const fails = (read: () => unknown) => {
    try {
      read();
    } catch (error) {
      assert.ok(error instanceof ValueError, String(error));
    }
  };
  const paths = ['original', 'reply', 'start', 'end', 'quality', 'status', 'state', 'zone', 'mark', 'netns', 'id', 'endReason'];
  fc.assert(
    fc.property(
      fc.constantFrom(...paths),
      fc.oneof(fc.jsonValue(), fc.constant({ toString: null })),
      fc.string(),
      (name, value, text) => {
        fails(() => rowOfJson(JSON.stringify({ ...json, [name]: value })));
        fails(() => rowOfJson(JSON.stringify({ ...json, original: { ...json.original, [text]: value, sport: value } })));
        fails(() => rowOfJson(text));
        fails(() => csv.row(text));
        fails(() => csv.row(Array.from({ length: 25 }, (_, n) => (n % 3 === 0 ? JSON.stringify(value) : text)).join(',')));
      },
    ),
  );
});
