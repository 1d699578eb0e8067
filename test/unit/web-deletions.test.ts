// Deletions through the handler of `conntrack serve`: nothing goes that was not shown, named or counted.

import assert from 'node:assert/strict';
import { mock, suite, test } from 'node:test';
import { MemoryTable, type MemoryTableOptions } from '../../src/testing/memory-table.js';
import type { Peer, Role } from '../../src/web/web-options.js';
import { assertSchema, WebTester, type WebTesterOptions } from '../support/web-tester.js';

const API = '/api/v1';
const DELETIONS = `${API}/deletions`;

function hosts(count: number, options: MemoryTableOptions = {}): MemoryTable {
  return new MemoryTable({
    ...options,
    flows: Array.from({ length: count }, (_, n) => ({
      protocol: 'udp' as const,
      original: { src: `10.0.${n >> 8}.${n & 255}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
    })),
  });
}

function start(table: MemoryTable, options: WebTesterOptions = {}): Promise<WebTester> {
  const authorize = (): Role => 'change';
  return WebTester.start({ tables: [table], allowChanges: true, authorize, ...options });
}

async function keysOf(tester: WebTester, query = ''): Promise<string[]> {
  const { flows } = await tester.get(`${API}/flows?limit=1000${query}`, 'flowsAnswer');
  return flows.map(({ key }: { key: string }) => key);
}

const plan = (tester: WebTester, json: object, headers = {}) =>
  tester.get(DELETIONS, 'deletionPlan', { json: { ...json, dryRun: true }, headers });
const refused = (tester: WebTester, json: unknown, headers = {}) => tester.refusal(DELETIONS, { json, headers });
const deleted = async (tester: WebTester, json: object, headers = {}) =>
  (await tester.get(DELETIONS, 'deletionResult', { json, headers })).deleted;

suite('a deletion in two steps', () => {
  test('shows what would go, and deletes it once', async () => {
    const table = hosts(20);
    await using tester = await start(table);
    const { matched, largest, warnings, confirm, expires } = await plan(tester, { filter: 'src 10.0.0.0/29' });
    assert.deepEqual([matched, largest.length, table.flows.length], [8, 3, 20]);
    assert.match(warnings.join(), /next packet may begin the flow again/);
    assert.ok(Math.abs(Date.parse(expires) - Date.now() - 60_000) < 5000);
    assert.equal(await deleted(tester, { filter: 'src 10.0.0.0/29', confirm }), 8);
    assert.equal(table.flows.length, 12);
    assert.equal(await refused(tester, { filter: 'src 10.0.0.0/29', confirm }), '410 CONFIRM');
  });

  test('stays in the namespace that it names', async () => {
    const [here, there] = [hosts(4), hosts(5)];
    await using tester = await start(here, { tables: [here, there] });
    const asked = { filter: 'src 10.0.0.0/31', netns: '1' };
    const { matched, largest, confirm } = await plan(tester, asked);
    assert.deepEqual([matched, largest.map(({ netns }: { netns: string }) => netns)], [2, ['1', '1']]);
    const { confirm: other } = await plan(tester, asked);
    assert.equal(await refused(tester, { filter: asked.filter, confirm: other }), '409 CONFIRM');
    assert.equal(await deleted(tester, { ...asked, confirm }), 2);
    assert.deepEqual([here.flows.length, there.flows.length], [4, 3]);
    assert.equal(tester.log.at(-1)!.netns, '1');
    assert.equal(await deleted(tester, { all: true, netns: '1', max: 3 }), 3);
    assert.deepEqual([here.flows.length, there.flows.length], [4, 0]);
    assert.equal(await refused(tester, { ...asked, netns: 'nowhere', dryRun: true }), '404 NOT_FOUND');
    assert.equal(await refused(tester, { ...asked, netns: 1, dryRun: true }), '400 VALUE');
    assert.equal(await refused(tester, { flows: [], netns: '1', dryRun: true }), '400 VALUE');
  });

  test('another spelling of the filter is the same', async () => {
    const table = hosts(3);
    await using tester = await start(table);
    const { confirm } = await plan(tester, { filter: 'udp   and (dst port 53)' });
    assert.equal(await deleted(tester, { filter: 'udp and dport 53', confirm }), 3);
  });

  test('is confirmed for that filter, those flows and that token only', async () => {
    const table = hosts(20);
    await using tester = await start(table);
    const keys = await keysOf(tester);
    const one = { authorization: 'Bearer one' };
    const confirmed = async (json: object) => (await plan(tester, json, one)).confirm;
    const filter = 'src 10.0.0.1';
    for (const [first, second, headers] of [
      [{ filter }, { filter: 'src 10.0.0.2' }, one],
      [{ filter }, { flows: keys }, one],
      [{ filter }, { all: true }, one],
      [{ flows: keys.slice(1) }, { flows: keys }, one],
      [{ flows: [keys[0]] }, { flows: [keys[1]] }, one],
      [{ filter }, { filter }, { authorization: 'Bearer two' }],
      [{ filter }, { filter }, {}],
    ] as const) {
      const confirm = await confirmed(first);
      assert.equal(await refused(tester, { ...second, confirm }, headers), '409 CONFIRM');
      assert.equal(await refused(tester, { ...first, confirm }, one), '410 CONFIRM', 'it is used up');
    }
    for (const confirm of ['', 'x', '__proto__', 'constructor'])
      assert.equal(await refused(tester, { filter, confirm }), '410 CONFIRM');
    assert.equal(table.flows.length, 20);
  });

  test('is confirmed for a minute', async () => {
    const table = hosts(2);
    await using tester = await start(table);
    const { confirm } = await plan(tester, { filter: 'udp' });
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 60_001 });
    try {
      assert.equal(await refused(tester, { filter: 'udp', confirm }), '410 CONFIRM');
    } finally {
      mock.timers.reset();
    }
    assert.equal(table.flows.length, 2);
  });

  test('stops when many more match by now', async () => {
    for (const [more, isRefused] of [
      [20, false], // 110 % of 100 and 10
      [21, true],
    ] as const) {
      const table = hosts(100);
      await using tester = await start(table);
      const { confirm } = await plan(tester, { filter: 'udp' });
      for (let n = 0; n < more; n++) table.add({ protocol: 'udp', original: { src: `10.9.0.${n}`, dport: 53 } });
      await tester.memory.list();
      const { status, json } = await tester.ask(DELETIONS, { json: { filter: 'udp', confirm } });
      if (isRefused) assert.deepEqual([status, json.error.code, json.error.matched], [409, 'CHANGED', 121]);
      else assert.deepEqual([status, json.deleted], [200, 120]);
    }
  });

  test('goes on where flows have ended in between', async () => {
    const table = hosts(5);
    await using tester = await start(table);
    const flows = await keysOf(tester);
    const { confirm, matched } = await plan(tester, { flows });
    table.expire(table.flows[2]!);
    await tester.memory.hear();
    assert.deepEqual([matched, await deleted(tester, { flows, confirm })], [5, 4]);
  });

  test('only so many wait to be confirmed', async () => {
    await using tester = await start(hosts(1));
    for (let n = 0; n < 256; n++) await plan(tester, { filter: 'udp' });
    assert.equal(await refused(tester, { filter: 'udp', dryRun: true }), '503 TOO_MANY_DELETIONS');
  });
});

suite('a deletion in one step', () => {
  test('deletes nothing where more match than was said', async () => {
    const table = hosts(20);
    await using tester = await start(table);
    assert.equal(await refused(tester, { filter: 'udp', max: 19 }), '409 CHANGED');
    assert.equal(await refused(tester, { filter: 'udp', max: 0 }), '409 CHANGED');
    assert.equal(table.flows.length, 20);
    assert.equal(await deleted(tester, { filter: 'udp', max: 20 }), 20);
  });

  test('of the whole table has to say so', async () => {
    const table = hosts(3);
    await using tester = await start(table);
    for (const json of [
      {},
      { filter: '' },
      { filter: '  ' },
      { filter: 'all' },
      { filter: '(all)' },
      { filter: 'all and all' },
      { all: false },
    ])
      assert.equal(await refused(tester, { ...json, max: 9 }), '400 VALUE', JSON.stringify(json));
    assert.equal(table.flows.length, 3);
    assert.equal(await deleted(tester, { all: true, max: 9 }), 3);
  });

  test('wrong bodies are refused', async () => {
    const table = hosts(3);
    await using tester = await start(table);
    const [key] = await keysOf(tester);
    const wrong: readonly unknown[] = [
      null,
      [],
      1,
      'x',
      { filter: 1, max: 9 },
      { filter: ['udp'], max: 9 },
      { filter: 'udp', max: -1 },
      { filter: 'udp', max: 1.5 },
      { filter: 'udp', max: '9' },
      { filter: 'udp', max: 1e300 },
      { filter: 'udp', dryRun: 'true', max: 9 },
      { filter: 'udp', dryRun: 1, max: 9 },
      { filter: 'udp', all: 'yes', max: 9 },
      { filter: 'udp', confirm: 1 },
      { filter: 'udp', confirm: 'x', dryRun: true },
      { filter: 'udp', max: 9, nothing: 1 },
      { flows: [key], filter: 'udp', max: 9 },
      { flows: [key], all: true, max: 9 },
      { flows: 'x', max: 9 },
      { flows: { length: 1 }, max: 9 },
      { flows: ['nothing'], max: 9 },
      { flows: [1], max: 9 },
      { flows: [[key]], max: 9 },
      { flows: [null], max: 9 },
    ];
    for (const json of wrong) assert.equal(await refused(tester, json), '400 VALUE', JSON.stringify(json));
    assert.equal(await refused(tester, { filter: 'udp' }), '400 CONFIRM');
    assert.equal(await refused(tester, { filter: 'udpx', max: 9 }), '400 FILTER');
    for (const body of [
      '',
      '{',
      '{"filter":"udp","max":9}}',
      '{"__proto__":{"dryRun":true},"filter":"udp","max":9}',
      '\0',
      '{"constructor":1,"max":1}',
    ])
      assert.equal(
        await tester.refusal(DELETIONS, { body, headers: { 'content-type': 'application/json' } }),
        '400 VALUE',
        JSON.stringify(body),
      );
    assert.equal(table.flows.length, 3);
    assert.equal(({} as { dryRun?: unknown }).dryRun, undefined);
  });

  test('a body is read only as far as it may go', async () => {
    await using tester = await start(hosts(1));
    const headers = { 'content-type': 'application/json' };
    let read = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        read += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
    });
    assert.equal(await tester.refusal(DELETIONS, { body: endless, headers }), '413 TOO_LARGE');
    assert.ok(read < 1 << 20, `${read} bytes`);
    assert.equal(
      await tester.refusal(DELETIONS, { body: 'x', headers: { ...headers, 'content-length': '524289' } }),
      '413 TOO_LARGE',
    );
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('reset')) });
    assert.equal(await tester.refusal(DELETIONS, { body: broken, headers }), '400 VALUE');
    assert.deepEqual(tester.log, []);
  });
});

suite('flows by their keys', () => {
  test('a thousand go at a time', async () => {
    const table = hosts(1001);
    await using tester = await start(table);
    const flows = await keysOf(tester);
    assert.equal(flows.length, 1000);
    assert.equal(await refused(tester, { flows: [...flows, flows[0]], max: 2000 }), '400 VALUE');
    assert.equal(await deleted(tester, { flows, max: 1000 }), 1000);
    assert.equal(table.flows.length, 1);
    assert.equal(await deleted(tester, { flows, max: 1000 }), 0);
  });

  test('a key that comes twice counts once', async () => {
    await using tester = await start(hosts(2));
    const [key] = await keysOf(tester);
    assert.equal(await deleted(tester, { flows: [key, key, key], max: 1 }), 1);
  });

  for (const timestamps of [true, false])
    test(`a key is not that of a later flow with the same tuple and id, ${timestamps ? 'with' : 'without'} times`, async () => {
      const table = hosts(1, { timestamps });
      await using tester = await start(table);
      const [key] = await keysOf(tester);
      const path = `${API}/flows/${key}`;
      await tester.get(path, 'flowAnswer');
      const [old] = table.flows;
      table.expire(old!);
      assert.equal(await tester.refusal(path), '404 NOT_FOUND');
      table.advance(1);
      table.add({ protocol: 'udp', original: { src: '10.0.0.0', dst: '192.0.2.1', sport: 1000, dport: 53 } });
      assert.equal(table.flows[0]!.id, old!.id);
      await tester.memory.list();
      assert.equal(await tester.refusal(path), '404 NOT_FOUND');
      assert.equal(await tester.refusal(path, { method: 'DELETE' }), '404 NOT_FOUND');
      assert.equal(await deleted(tester, { flows: [key], max: 1 }), 0);
      assert.equal(table.flows.length, 1);
      assert.equal(await deleted(tester, { flows: await keysOf(tester), max: 1 }), 1);
    });

  test('a key of another start of the server is good as long as the flow is', async () => {
    const table = hosts(2);
    await using before = await start(table);
    await using after = await start(table);
    const [key] = await keysOf(before);
    await after.get(`${API}/flows/${key}`, 'flowAnswer');
    assert.equal(await deleted(after, { flows: [key], max: 1 }), 1);
  });

  test('one flow goes by DELETE', async () => {
    const table = hosts(3);
    await using tester = await start(table);
    const [key] = await keysOf(tester, '&filter=src+10.0.0.1');
    const answer = await tester.get(`${API}/flows/${key}`, 'deletionResult', { method: 'DELETE' });
    assert.deepEqual(answer, { matched: 1, deleted: 1, alreadyGone: 0, failed: 0 });
    assert.deepEqual(
      table.flows.map(({ original }) => original.src),
      ['10.0.0.0', '10.0.0.2'],
    );
    assert.equal(await tester.refusal(`${API}/flows/${key}`, { method: 'DELETE' }), '404 NOT_FOUND');
  });

  test('what is no key reaches no kernel', async () => {
    const table = hosts(2);
    await using tester = await start(table);
    const epoch = JSON.parse(Buffer.from((await keysOf(tester))[0]!, 'base64url').toString())[0] as string;
    const good = { protocol: 'udp', original: { src: '10.0.0.0', dst: '192.0.2.1', protonum: 17, sport: 1000, dport: 53 } };
    const made: readonly unknown[] = [
      null,
      1,
      'x',
      {},
      [],
      [1, 2, 3, 4, 5],
      ['x', 1, null, null, null],
      ['x', 1, null, null, 'udp'],
      ['x', 1, null, null, []],
      ['x', 1, null, null, {}],
      ['x', '1', null, null, good],
      ['x', 1, 1, null, good],
      ['x', 1, null, 1, good],
      ['x', 1, '../../etc', null, good],
      ['x', 1, '__proto__', null, good],
      ['x', 1, null, null, { ...good, original: { ...good.original, src: {} } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, src: ['10.0.0.0'] } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, sport: 65536 } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, sport: '1000' } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, sport: -1 } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, sport: 1e99 } }],
      ['x', 1, null, null, { ...good, original: { ...good.original, protonum: 6.5 } }],
      ['x', 1, null, null, { ...good, original: 'x' }],
      ['x', 1, null, null, { ...good, original: null }],
      ['x', 1, null, null, { ...good, protocol: '__proto__' }],
      ['x', 1, null, null, { ...good, protocol: {} }],
      ['x', 1, null, null, { ...good, zone: 65536 }],
      ['x', 1, null, null, { ...good, zone: {} }],
      ['x', 1, null, null, { ...good, id: 2 ** 32 }],
      ['x', 1, null, null, { ...good, id: 'x' }],
      ['x', 1, null, null, { ...good, nothing: 1 }],
      ['x', 1, null, null, { ...good, __proto__: null, reply: { src: 5 } }],
      [epoch, 0, null, null, {}],
      [epoch, 1e300, null, null, good],
      [epoch, -1, null, null, good],
      // the number of another flow
      [epoch, 1, null, null, good],
    ];
    for (const value of made) {
      const key = Buffer.from(JSON.stringify(value)).toString('base64url');
      for (const method of ['GET', 'DELETE']) {
        const { status, json } = await tester.ask(`${API}/flows/${key}`, { method });
        assert.ok(status === 404 || status === 400, `${method} ${JSON.stringify(value)}: ${status}`);
        assertSchema('problem', json);
      }
    }
    for (const key of ['a'.repeat(2000), '-', '%20', '%F0%9F', '..', 'WyI'])
      assert.match(await tester.refusal(`${API}/flows/${key}`, { method: 'DELETE' }), /^(404|405) /);
    assert.deepEqual([table.flows.length, tester.log], [2, []]);
  });
});

suite('the own connection', () => {
  const server = { localAddress: '192.0.2.9', localPort: 8466 };
  const cases: readonly (readonly [string, Peer, object])[] = [
    [
      'as it comes',
      { address: '10.0.0.5', port: 50_000, ...server },
      { original: { src: '10.0.0.5', dst: '192.0.2.9', sport: 50_000, dport: 8466 } },
    ],
    [
      'with IPv4 addresses as IPv6 ones',
      { address: '::ffff:10.0.0.5', port: 50_000, localAddress: '::ffff:192.0.2.9', localPort: 8466 },
      { original: { src: '10.0.0.5', dst: '192.0.2.9', sport: 50_000, dport: 8466 } },
    ],
    [
      'over IPv6, of a link',
      { address: 'fe80::5%eth0', port: 50_000, localAddress: 'fe80::9%eth0', localPort: 8466 },
      { original: { src: 'fe80::5', dst: 'fe80::9', sport: 50_000, dport: 8466 } },
    ],
    [
      'through DNAT',
      { address: '10.0.0.5', port: 50_000, ...server },
      { original: { src: '10.0.0.5', dst: '203.0.113.1', sport: 50_000, dport: 8466 }, dstNat: '192.0.2.9' },
    ],
    [
      'through SNAT',
      { address: '203.0.113.1', port: 50_000, ...server },
      { original: { src: '10.0.0.5', dst: '192.0.2.9', sport: 50_000, dport: 8466 }, srcNat: '203.0.113.1' },
    ],
  ];
  for (const [what, peer, flow] of cases)
    test(`is kept ${what}`, async () => {
      const table = new MemoryTable();
      table.add({ protocol: 'tcp', ...flow } as never);
      const [own] = table.flows;
      const { src, dst, sport, dport } = own!.original as { src: string; dst: string; sport: number; dport: number };
      table.add({ protocol: 'tcp', original: { src, dst, sport: sport + 1, dport } });
      await using tester = await start(table);
      const [key] = await keysOf(tester, `&filter=src+port+${sport}`);
      const one = await tester.get(`${API}/flows/${key}`, 'deletionResult', { method: 'DELETE', peer });
      assert.deepEqual([one.matched, one.deleted], [0, 0]);
      const planned = await tester.get(DELETIONS, 'deletionPlan', { json: { filter: 'tcp', dryRun: true }, peer });
      assert.equal(planned.matched, 1);
      assert.match(planned.warnings[0], /your own connection is kept/);
      const keys = await tester.get(DELETIONS, 'deletionResult', { json: { flows: [key], max: 5 }, peer });
      assert.equal(keys.deleted, 0);
      const all = await tester.get(DELETIONS, 'deletionResult', { json: { all: true, max: 5 }, peer });
      assert.equal(all.deleted, 1);
      assert.deepEqual(
        table.flows.map(({ id }) => id),
        [own!.id],
      );
      assert.equal((await tester.get(DELETIONS, 'deletionResult', { json: { all: true, max: 5 } })).deleted, 1, 'by another one');
    });
});

suite('what is told of deletions', () => {
  test('a line in the log, and events of the stream: at once, and when one has looked what came back', async () => {
    const table = hosts(3);
    await using tester = await start(table, { times: { cameBack: 1000 } });
    const stream = await tester.stream(`${API}/stream`);
    const peer = { address: '2001:db8::5', port: 5, localAddress: '2001:db8::1', localPort: 8466 };
    await tester.ask(DELETIONS, { json: { filter: 'udp', max: 3 }, peer });
    const first = (await stream.next('deletion'))!.data;
    assertSchema('streamDeletion', first);
    assert.deepEqual([first.deleted, first.cameBack], [3, undefined]);
    table.add({ protocol: 'udp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1000, dport: 53 } });
    await tester.memory.list();
    const second = (await stream.next('deletion'))!.data;
    assertSchema('streamDeletion', second);
    assert.equal(second.cameBack, 1);
    await stream.cancel();
    const { what, method, path, peer: from, role, filter, deleted, failed } = tester.log[0]!;
    assert.deepEqual([what, method, path, from, role], ['deletion', 'POST', DELETIONS, '[2001:db8::5]:5', 'change']);
    assert.equal(filter, 'udp');
    assert.deepEqual([deleted, failed, tester.log.length], [3, 0, 1]);
  });
});
