// What the server says of the past from a record of flows: earlier flows of a tuple, and who had most in a minute.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import { openHistory } from '../../src/history/open-history.js';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { inRecord, ipv4, type PastRow, SECOND, T0, TRANSLATED_ROW, writeRecord } from '../support/past-record.js';
import { WebTester, type WebTesterOptions } from '../support/web-tester.js';

const API = '/api/v1';
const FLOW = { protocol: 'tcp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 40000, dport: 443 } } as const;
const row = (more: PastRow): PastRow => ({
  ...TRANSLATED_ROW,
  dur: 2 * SECOND,
  src: ipv4('10.0.0.1'),
  sport: 40000,
  dst: ipv4('192.0.2.1'),
  ext: ipv4('10.0.0.1'),
  eport: 40000,
  opk: 12,
  ob: 6000,
  rpk: 200,
  rb: 120_000,
  end_reason: 5,
  ...more,
});
const ROWS = [
  ...Array.from({ length: 25 }, (_, n) => row({ start: T0 - (25 - n) * 60 * SECOND })),
  row({ sport: 40001, src: ipv4('10.0.0.9'), ext: ipv4('10.0.0.9'), rb: 600_000 }),
];

/** A server with a record, and with one flow in its table. */
function withRecord(options: WebTesterOptions, body: (tester: WebTester, key: string) => Promise<void>): Promise<void> {
  return inRecord(async (path) => {
    writeRecord(loadDriver(), path, [{ opened: T0 - 86_400 * SECOND, alive: T0 + 60 * SECOND, ended: true, rows: ROWS }]);
    await using history = await openHistory(path);
    await using tester = await WebTester.start({ tables: [new MemoryTable({ flows: [FLOW] })], history, ...options });
    const { flows } = await tester.get(`${API}/flows`, 'flowsAnswer');
    await body(tester, flows[0]!.key);
  });
}

suite('the past from a record', () => {
  test('of a flow are the last flows between its ends, the newest first', () =>
    withRecord({}, async (tester, key) => {
      const { lives, more, unreadable } = await tester.get(`${API}/flows/${key}/past`, 'pastAnswer');
      assert.deepEqual([lives.length, more, unreadable], [20, true, 0]);
      assert.equal(Date.parse(lives[0].start) * 1000, T0 - 60 * SECOND);
      assert.equal(Date.parse(lives[19].start) * 1000, T0 - 20 * 60 * SECOND);
      assert.equal((await tester.get(`${API}/status`, 'webStatus')).record, true);
    }));

  test('of a minute are those of the flows that ended in it, where the meter remembers nothing', () =>
    withRecord({}, async (tester) => {
      const at = Math.floor(T0 / 1e6);
      const answer = await tester.get(`${API}/groups?at=${at}&by=src`, 'minuteAnswer');
      assert.deepEqual([answer.from, answer.minute, answer.unreadable], ['record', at - (at % 60), 0]);
      assert.deepEqual(answer.groups, [
        { key: '10.0.0.9', filter: 'src 10.0.0.9', flows: 1, average: { original: 100, reply: 10_000 } },
      ]);
      const services = await tester.get(`${API}/groups?at=${at - 60}&by=service&sort=flows`, 'minuteAnswer');
      assert.deepEqual(services.groups, [
        { key: 'tcp 443', filter: 'tcp and dst port 443', flows: 1, average: { original: 100, reply: 2000 } },
      ]);
    }));

  test('is told only of the scope', () =>
    withRecord({ scope: 'src 10.0.0.1', meterOptions: { filter: 'src 10.0.0.1' } }, async (tester, key) => {
      const { groups } = await tester.get(`${API}/groups?at=${Math.floor(T0 / 1e6)}`, 'minuteAnswer');
      assert.deepEqual(groups, []);
      const [epoch, number, netns, start, parts] = JSON.parse(Buffer.from(key, 'base64url').toString());
      const other = (src: unknown) => {
        const original = { ...parts.original, src, sport: 40001 };
        return Buffer.from(JSON.stringify([epoch, number, netns, start, { ...parts, original }])).toString('base64url');
      };
      assert.deepEqual((await tester.get(`${API}/flows/${other('10.0.0.9')}/past`, 'pastAnswer')).lives, []);
      for (const src of ['10.0.0.9 or all', '0.0.0.0/0) or (all', null, 7, ['10.0.0.9'], { toString: 1 }])
        assert.match(await tester.refusal(`${API}/flows/${other(src)}/past`), /^40[04] /, JSON.stringify(src));
    }));

  test('is refused where there is none, and for what is no key', async () => {
    await using tester = await WebTester.start({ tables: [new MemoryTable({ flows: [FLOW] })] });
    const { flows } = await tester.get(`${API}/flows`, 'flowsAnswer');
    assert.equal(await tester.refusal(`${API}/flows/${flows[0].key}/past`), '404 NO_RECORD');
    assert.equal(await tester.refusal(`${API}/flows/nothing/past`), '404 NOT_FOUND');
    assert.equal(await tester.refusal(`${API}/groups?at=1`), '404 NOT_FOUND');
  });
});
