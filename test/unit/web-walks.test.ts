// All flows through the handler of `conntrack serve`: page by page, and as lines at the pace of the reader.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { Walks } from '../../src/web/walks.js';
import { assertSchema, WebTester } from '../support/web-tester.js';

const API = '/api/v1';

function hosts(count: number): MemoryTable {
  return new MemoryTable({
    flows: Array.from({ length: count }, (_, n) => ({
      protocol: 'udp' as const,
      original: { src: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
    })),
  });
}

interface Page {
  readonly next?: string;
  readonly matched: number;
  readonly flows: readonly { readonly number: number; readonly flow: { readonly original: { readonly src: string } } }[];
}
const page = (tester: WebTester, query: string): Promise<Page> => tester.get(`${API}/flows?${query}`, 'flowsPage');

suite('walks', () => {
  for (const sort of ['', '&sort=src', '&sort=age&reverse=1'])
    test(`a flow that is there throughout comes exactly once${sort}`, async () => {
      const table = hosts(500);
      await using tester = await WebTester.start({ tables: [table] });
      const lasting = new Set(table.flows.map(({ original }) => original.src!).filter((_, n) => n % 3 !== 0));
      const met: string[] = [];
      let ended = 0;
      for (let next: string | undefined = ''; next !== undefined; ) {
        const { flows, ...answer }: Page = await page(tester, `limit=37&cursor=${next}${next === '' ? sort : ''}`);
        assert.equal(answer.matched, 500);
        met.push(...flows.map(({ flow }) => flow.original.src));
        next = answer.next;
        // Meanwhile others end and begin, and lists are made.
        for (const flow of table.flows.filter(({ original }) => !lasting.has(original.src!)).slice(0, 12)) table.expire(flow);
        for (let n = 0; n < 12; n++)
          table.add({ protocol: 'tcp', original: { src: `172.16.${ended >> 8}.${ended++ & 255}`, dport: 80 } });
        await tester.memory.list();
      }
      assert.ok(ended > 100);
      assert.equal(new Set(met).size, met.length, 'none twice');
      assert.deepEqual(
        [...lasting].filter((src) => !met.includes(src)),
        [],
      );
      assert.ok(
        met.every((src) => src.startsWith('10.')),
        'none that began later',
      );
      if (sort === '&sort=src')
        assert.deepEqual(
          met,
          [...met].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })),
        );
    });

  test('a short one leaves nothing behind, and sixteen long ones can be under way', async () => {
    await using tester = await WebTester.start({ tables: [hosts(10)] });
    for (let n = 0; n < 50; n++) assert.equal((await page(tester, 'cursor=')).next, undefined);
    const cursors: string[] = [];
    for (let n = 0; n < 16; n++) cursors.push((await page(tester, 'cursor=&limit=1')).next!);
    const { status, json, headers } = await tester.ask(`${API}/flows?cursor=&limit=1`);
    assert.deepEqual([status, json.error.code, headers.get('retry-after')], [503, 'TOO_MANY_CURSORS', '60']);
    await page(tester, `cursor=${cursors[0]}&limit=9`);
    await page(tester, 'cursor=&limit=1');
    assert.equal(await tester.refusal(`${API}/flows?cursor=${cursors[0]}`), '410 CURSOR_EXPIRED');
  });

  test('a cursor is good for a minute after its last use', () => {
    let now = 0;
    const walks = new Walks(60_000, () => now);
    const first = walks.begin(Uint32Array.of(1, 2, 3));
    now += 60_000;
    const { numbers, next, total } = walks.next(first, 1);
    assert.deepEqual([numbers, total], [[1], 3]);
    now += 60_000;
    assert.deepEqual(walks.next(next!, 1).numbers, [2]);
    assert.deepEqual(walks.next(next!, 1).numbers, [2], 'again, when the answer was lost');
    now += 60_001;
    assert.throws(() => walks.next(next!, 1), { code: 'CURSOR_EXPIRED', status: 410 });
    for (const wrong of [
      '',
      '.',
      'x',
      `${first}.1`,
      first.replace('.0', '.-1'),
      first.replace('.0', '.1e3'),
      first.replace('.0', '.'),
    ])
      assert.throws(() => walks.next(wrong, 1), { code: 'VALUE', status: 400 }, wrong);
    const other = walks.begin(Uint32Array.of(1, 2, 3));
    assert.deepEqual(walks.next(other.replace('.0', '.999999999'), 1), { numbers: [], next: undefined, total: 3 });
    const many = Array.from({ length: 16 }, () => walks.begin(new Uint32Array(2)));
    assert.throws(() => walks.begin(new Uint32Array(2)), { status: 503 });
    now += 60_001;
    walks.begin(new Uint32Array(2));
    for (const cursor of many) assert.throws(() => walks.next(cursor, 1), { status: 410 });
  });
});

suite('exports', () => {
  const ndjson = { headers: { accept: 'application/x-ndjson' } };

  test('have all flows that match, a line each', async () => {
    await using tester = await WebTester.start({ tables: [hosts(1234)] });
    const { headers, text } = await tester.ask(`${API}/flows?filter=src+10.0.0.0/22&sort=src&reverse=1`, ndjson);
    assert.equal(headers.get('content-type'), 'application/x-ndjson');
    const lines = text.split('\n');
    assert.deepEqual([lines.length, lines.at(-1)], [1025, '']);
    const flows = lines.slice(0, -1).map((line) => JSON.parse(line));
    for (const flow of flows) assertSchema('keyedFlow', flow);
    assert.deepEqual([flows[0].flow.original.src, flows.at(-1).flow.original.src], ['10.0.3.255', '10.0.0.0']);
    assert.equal((await tester.ask(`${API}/flows?filter=tcp`, ndjson)).text, '');
  });

  test('wait for their readers', async () => {
    const table = hosts(4000);
    await using tester = await WebTester.start({ tables: [table] });
    const made: number[] = [];
    const { meter } = tester.memory;
    const getMany = meter.getMany.bind(meter);
    meter.getMany = (numbers) => {
      made.push(numbers.length);
      return getMany(numbers);
    };
    const reader = (await tester.send(`${API}/flows`, ndjson)).body!.getReader();
    const count = ({ value }: { readonly value?: Uint8Array | undefined }) =>
      Buffer.from(value ?? [])
        .toString()
        .split('\n').length - 1;
    let lines = count(await reader.read());
    for (let n = 0; n < 100; n++) await new Promise(setImmediate);
    assert.ok(made.length <= 3, `${made.length} parts were made for one that was read`);
    // Flows that end before their part is made are left out.
    for (const flow of table.flows.slice(2000)) table.expire(flow);
    await tester.memory.hear();
    for (let part = await reader.read(); !part.done; part = await reader.read()) lines += count(part);
    assert.equal(lines, 2000);
  });

  test('let others be answered in between', async () => {
    await using tester = await WebTester.start({ tables: [hosts(4000)] });
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    await tester.ask(`${API}/flows`, ndjson);
    over = true;
    assert.ok(turns >= 20, `${turns}`);
  });

  test('four go on at a time; the end of one, or a reader that leaves or stops, makes room', async () => {
    await using tester = await WebTester.start({ tables: [hosts(2000)], times: { patience: 500 } });
    const begin = () => tester.send(`${API}/flows`, ndjson);
    const open = [await begin(), await begin(), await begin(), await begin()] as const;
    const { status, json } = await tester.ask(`${API}/flows`, ndjson);
    assert.deepEqual([status, json.error.code], [503, 'TOO_MANY_EXPORTS']);
    assert.equal((await tester.ask(`${API}/flows`)).status, 200, 'pages go on');
    await open[0].body!.cancel();
    assert.equal((await open[1].text()).split('\n').length, 2001);
    const more = [await begin(), await begin()] as const;
    assert.equal((await begin()).status, 503);
    await assert.rejects(async () => {
      const reader = more[0].body!.getReader();
      await reader.closed; // it never reads
    }, /took nothing/);
    assert.equal((await tester.ask(`${API}/flows`, ndjson)).status, 200);
  });

  test('cut the connection of a reader that stops', async () => {
    await using tester = await WebTester.start({ tables: [hosts(2000)], times: { patience: 50 } });
    await new Promise<void>((cut) => {
      const peer = { address: '', port: 0, localAddress: '', localPort: 0, cut };
      void tester.send(`${API}/flows`, { ...ndjson, peer });
    });
  });
});
