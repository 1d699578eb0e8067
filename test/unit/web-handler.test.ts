// The handler of `conntrack serve` without sockets: who may ask what, how, and what the answers look like.

import assert from 'node:assert/strict';
import { mock, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { ROUTES } from '../../src/web/routes.js';
import type { HandlerOptions, Role } from '../../src/web/web-options.js';
import { type Asked, assertSchema, WebTester } from '../support/web-tester.js';

const API = '/api/v1';
const FLOW = { protocol: 'tcp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 40000, dport: 443 } } as const;

/** A table with flows of several hosts. */
function tableOf(count = 3): MemoryTable {
  return new MemoryTable({
    accounting: true,
    flows: Array.from({ length: count }, (_, n) => ({
      protocol: 'udp' as const,
      original: { src: `10.0.${n >> 8}.${n & 255}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
    })),
  });
}

/** Who asks is in a header. */
function byHeader(request: Request): Role | undefined {
  return (request.headers.get('x-role') ?? undefined) as Role | undefined;
}

suite('who may ask what', () => {
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
  const paths = [...new Set(ROUTES.map(({ path }) => path))];

  for (const flags of [{}, { allowChanges: true }, { metricsOnly: true }, { allowChanges: true, metricsOnly: true }] as const)
    for (const basePath of ['', '/ct'])
      test(`${JSON.stringify(flags)} below '${basePath}'`, async () => {
        await using tester = await WebTester.start({ ...flags, basePath, authorize: byHeader, tables: [tableOf()] });
        for (const pattern of paths)
          for (const method of METHODS)
            for (const role of [undefined, 'read', 'change'] as const) {
              const path = pattern.replace(':key', 'bm8ga2V5').replace(':name', 'none.js');
              const headers: Record<string, string> = role === undefined ? {} : { 'x-role': role };
              if (method === 'POST') headers['content-type'] = 'application/json';
              const response = await tester.send(`${basePath}${path}`, { method, headers });
              await response.body?.cancel();
              const rows = ROUTES.filter((row) => row.path === pattern && ('metricsOnly' in flags ? row.metrics : true)).filter(
                (row) => row.role !== 'change' || 'allowChanges' in flags,
              );
              const row = rows.find((row) => row.method === (method === 'HEAD' ? 'GET' : method));
              const expected = () => {
                if (!row) return rows.length === 0 ? 404 : 405;
                if (row.role !== 'open' && role === undefined) return 401;
                if (row.role === 'change' && role !== 'change') return 403;
                // No such key, no such file: those of the page come with the build.
                if (pattern.includes(':') || pattern === '/' || pattern === '/favicon.svg') return 404;
                return method === 'POST' ? 400 : 200;
              };
              const what = `${method} ${path} as ${role}`;
              assert.equal(response.status, expected(), what);
              assert.equal(response.status === 405, response.headers.has('allow'), what);
              if (response.status === 401) assert.equal(response.headers.get('www-authenticate'), 'Bearer');
              assert.match(response.headers.get('content-security-policy')!, /^default-src 'none'; .*trusted-types 'none'$/);
              assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
              assert.equal(response.headers.get('access-control-allow-origin'), null);
              assert.ok(response.headers.has('cache-control'), what);
            }
      });

  test('nothing is there outside of the base path', async () => {
    await using tester = await WebTester.start({ basePath: '/ct' });
    for (const path of ['/healthz', '/xx/healthz', '/cthealthz', '/ct/ct/healthz', '/'])
      assert.equal(await tester.refusal(path), '404 NOT_FOUND', path);
  });

  test('whoever authorizes may take its time, and answer itself', async () => {
    const answers: readonly (readonly [HandlerOptions['authorize'], number])[] = [
      [async () => 'read' as const, 200],
      [async () => undefined, 401],
      [() => true as unknown as Role, 401],
      [() => ({}) as unknown as Role, 401],
      [() => 'admin' as Role, 401],
      [
        () => {
          throw Response.redirect('https://login.example/', 302);
        },
        302,
      ],
      [
        () => {
          throw new Error('no database');
        },
        500,
      ],
    ];
    for (const [authorize, status] of answers) {
      await using tester = await WebTester.start({ authorize });
      const response = await tester.send(`${API}/status`);
      assert.equal(response.status, status, String(authorize));
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    }
  });

  test('what nobody expects is told to the log only', async () => {
    await using tester = await WebTester.start({
      authorize: () => {
        throw new Error('secret of the database');
      },
    });
    const { status, text } = await tester.ask(`${API}/status`);
    assert.deepEqual([status, text.includes('secret')], [500, false]);
    assert.match(tester.log[0]!.error!, /secret of the database/);
  });

  test('no way of writing a path goes around it', async () => {
    await using tester = await WebTester.start({ authorize: byHeader, allowChanges: true, tables: [tableOf()] });
    const paths = [
      'flows/',
      '%66lows',
      'flows%2f',
      'x/../flows',
      './flows',
      'flows?x',
      'flows%00',
      'flows;x',
      'flows%3fx',
      '%2e%2e/v1/flows',
    ];
    for (const path of [...paths, 'FLOWS', '/flows', '\\flows', 'flows#', 'flows/%2e%2e/status', 'healthz/../flows'])
      for (const method of ['GET', 'HEAD', 'DELETE', 'POST']) {
        const { status, text } = await tester.ask(`${API}/${path}`, { method, headers: { 'content-type': 'application/json' } });
        assert.ok([401, 404, 405].includes(status), `${method} ${path}: ${status} ${text.slice(0, 100)}`);
      }
    for (const name of [
      '__proto__',
      'constructor',
      'toString',
      '..%2fauth.js',
      '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      'index.html%00.js',
      '%ff',
    ])
      assert.equal((await tester.send(`/assets/${name}`)).status, 404, name);
  });

  test('without authorize everybody reads, and nobody changes', async () => {
    await using tester = await WebTester.start({ allowChanges: true });
    assert.equal((await tester.get(`${API}/status`, 'webStatus')).changes, false);
    assert.equal(await tester.refusal(`${API}/deletions`, { json: { all: true, dryRun: true } }), '403 READ_ONLY');
  });
});

suite('names and origins', () => {
  const ours = { hosts: ['fw.example', '192.0.2.7'] };

  test('only names that are ours are answered: a rebound name is not', async () => {
    await using tester = await WebTester.start(ours);
    const cases: readonly (readonly [string, number])[] = [
      ['localhost', 200],
      ['LOCALHOST:8466', 200],
      ['127.0.0.1:8466', 200],
      ['127.0.0.1:1', 200],
      ['[::1]:8466', 200],
      ['[::1]', 200],
      ['fw.example', 200],
      ['FW.Example:443', 200],
      ['192.0.2.7:8466', 200],
      ['evil.example', 421],
      ['evil.example:8466', 421],
      ['localhost.evil.example', 421],
      ['fw.example.evil.example', 421],
      ['fw.example.', 421],
      ['localhost:80:80', 421],
      ['localhost:', 421],
      ['fw.example@evil.example', 421],
      ['192.0.2.8', 421],
      ['0', 421],
      ['2130706433', 421],
      ['::1', 421],
      ['', 421],
    ];
    for (const [host, status] of cases)
      for (const path of ['/healthz', `${API}/openapi.json`, `${API}/status`, `${API}/nothing`]) {
        const response = await tester.send(path, { headers: { host } });
        assert.equal(response.status, path.endsWith('nothing') && status === 200 ? 404 : status, `${host} ${path}`);
      }
  });

  test('the address of the connection is ours, but only as that address', async () => {
    await using tester = await WebTester.start(ours);
    const ask = async (host: string, localAddress: string) =>
      (
        await tester.send('/healthz', {
          headers: { host },
          peer: { address: '10.0.0.9', port: 5, localAddress, localPort: 8466 },
        })
      ).status;
    assert.equal(await ask('10.0.0.1:8466', '10.0.0.1'), 200);
    assert.equal(await ask('10.0.0.1:8466', '::ffff:10.0.0.1'), 200);
    assert.equal(await ask('[fe80::1]:8466', 'fe80::1%eth0'), 200);
    assert.equal(await ask('10.0.0.2', '10.0.0.1'), 421);
    assert.equal(await ask('evil.example', '10.0.0.1'), 421);
    assert.equal(
      (await tester.send('/healthz', { headers: { host: '' }, peer: { address: '', port: 0, localAddress: '', localPort: 0 } }))
        .status,
      421,
    );
  });

  const json = { dryRun: true, all: true };
  const matrix: readonly (readonly [Record<string, string>, string])[] = [
    [{}, '200'],
    [{ origin: 'http://localhost:8466' }, '200'],
    [{ origin: 'https://localhost:8466' }, '200'],
    [{ origin: 'http://LOCALHOST:8466' }, '200'],
    [{ origin: 'http://localhost:8466', 'sec-fetch-site': 'same-origin' }, '200'],
    [{ 'sec-fetch-site': 'none' }, '200'],
    [{ origin: 'http://localhost:8466', 'sec-fetch-site': 'cross-site' }, '403 ORIGIN'],
    [{ 'sec-fetch-site': 'cross-site' }, '403 ORIGIN'],
    [{ 'sec-fetch-site': 'same-site' }, '403 ORIGIN'],
    [{ 'sec-fetch-site': 'bogus' }, '403 ORIGIN'],
    [{ origin: 'http://localhost:3000' }, '403 ORIGIN'],
    [{ origin: 'http://localhost' }, '403 ORIGIN'],
    [{ origin: 'http://127.0.0.1:8466' }, '403 ORIGIN'],
    [{ origin: 'http://evil.example' }, '403 ORIGIN'],
    [{ origin: 'null' }, '403 ORIGIN'],
    [{ origin: '' }, '403 ORIGIN'],
    [{ origin: 'localhost:8466' }, '403 ORIGIN'],
    [{ origin: 'file://localhost:8466' }, '403 ORIGIN'],
    [{ origin: 'http://localhost:8466@evil.example' }, '403 ORIGIN'],
    [{ origin: 'http://localhost:8466/x' }, '403 ORIGIN'],
  ];

  for (const hosts of [ours.hosts, undefined])
    test(`changes that other pages cause are refused, ${hosts ? 'with' : 'without'} names`, async () => {
      await using tester = await WebTester.start({ hosts, allowChanges: true, authorize: () => 'change' });
      for (const [headers, expected] of matrix) {
        const { status, json: answer } = await tester.ask(`${API}/deletions`, { json, headers });
        assert.equal(status === 200 ? '200' : `${status} ${answer.error.code}`, expected, JSON.stringify(headers));
      }
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'text/json',
        'application/jsonp',
        '',
      ])
        assert.equal(
          await tester.refusal(`${API}/deletions`, { body: JSON.stringify(json), headers: { 'content-type': type } }),
          '415 TYPE',
          type,
        );
      const charset = { 'content-type': 'Application/JSON; charset=utf-8' };
      assert.equal((await tester.ask(`${API}/deletions`, { body: JSON.stringify(json), headers: charset })).status, 200);
    });

  test('the word of the browser counts where something in front changes the host', async () => {
    await using tester = await WebTester.start({ allowChanges: true, authorize: () => 'change' });
    const headers = { origin: 'https://fw.example', 'sec-fetch-site': 'same-origin' };
    assert.equal((await tester.ask(`${API}/deletions`, { json, headers })).status, 200);
  });

  test('other pages cannot even ask for data, where no token is needed', async () => {
    await using tester = await WebTester.start(ours);
    for (const path of ['flows', 'stream', 'events', 'groups'])
      assert.equal(await tester.refusal(`${API}/${path}`, { headers: { 'sec-fetch-site': 'cross-site' } }), '403 ORIGIN');
    assert.notEqual((await tester.send('/', { headers: { 'sec-fetch-site': 'cross-site' } })).status, 403); // a link
  });
});

suite('parameters', () => {
  const WRONG: readonly (readonly [string, string])[] = [
    ...[
      'limit=-1',
      'limit=1001',
      'limit=1.5',
      'limit=x',
      'limit=1e3',
      'limit=0x10',
      'limit=%201',
      'limit=99999999999999999999',
    ].map((query) => [`flows?${query}`, '400 VALUE'] as const),
    ...[
      'offset=-1',
      'offset=1.5',
      'offset=1000000001',
      'sort=nothing',
      'sort=__proto__',
      'sort=toString',
      'reverse=yes',
      'hold=2',
    ].map((query) => [`flows?${query}`, '400 VALUE'] as const),
    ...[
      'leastRate=-1',
      'leastRate=NaN',
      'leastRate=Infinity',
      'limit=1&limit=2',
      'nothing=1',
      '__proto__=1',
      'constructor=1',
    ].map((query) => [`flows?${query}`, '400 VALUE'] as const),
    ['flows?filter=tcpx', '400 FILTER'],
    ['flows?filter=src%20a%20b', '400 FILTER'],
    ['flows?filter=%00', '400 FILTER'],
    [`flows?filter=${'x'.repeat(5000)}`, '400 FILTER'],
    [`flows?filter=${Array(300).fill('tcp').join('+or+')}`, '400 FILTER'],
    [`flows?filter=${'('.repeat(2000)}`, '400 FILTER'],
    ['flows?cursor=nothing', '400 VALUE'],
    ['flows?cursor=a.b', '400 VALUE'],
    ['flows?cursor=&limit=0', '400 VALUE'],
    ['flows?cursor=aaaaaaaaaaaaaaaa.0', '410 CURSOR_EXPIRED'],
    ['flows/nothing', '404 NOT_FOUND'],
    ['groups?by=nothing', '400 VALUE'],
    ['groups?by=src/129', '400 VALUE'],
    ['groups?by=src/-1', '400 VALUE'],
    ['groups?by=__proto__', '400 VALUE'],
    ['groups?by=constructor', '400 VALUE'],
    ['groups?by=mark/zz', '400 VALUE'],
    ['groups?sort=age', '400 VALUE'],
    ['groups?limit=1001', '400 VALUE'],
    ['groups?filter=nothing', '400 FILTER'],
    ['groups?hold=1', '400 VALUE'],
    ['flows?numbers=1,x', '400 VALUE'],
    ['flows?numbers=', '400 VALUE'],
    ['flows?numbers=1&sort=src', '400 VALUE'],
    [`flows?numbers=${Array(201).fill(1)}`, '400 VALUE'],
    ['groups?at=', '400 VALUE'],
    ['groups?at=1&by=pair', '400 VALUE'],
    ['groups?at=1&sort=key', '400 VALUE'],
    ['groups?at=1&filter=udp', '400 VALUE'],
    ['groups?at=1', '404 NOT_FOUND'],
    ['flows?netns=nowhere', '404 NOT_FOUND'],
    ['flows?netns=__proto__', '404 NOT_FOUND'],
    ['groups?netns=nowhere', '404 NOT_FOUND'],
    ['series?seconds=0', '400 VALUE'],
    ['series?seconds=86401', '400 VALUE'],
    ['series?seconds=1.5', '400 VALUE'],
    ['statistics?netns=nowhere', '404 NOT_FOUND'],
    ['expectations?netns=../../etc', '404 NOT_FOUND'],
    ['events?types=NEW,OLD', '400 VALUE'],
    ['events?types=', '200'],
    ['events?filter=tcpx', '400 FILTER'],
    ['events?netns=nowhere', '404 NOT_FOUND'],
    ['filter?text=tcp&cursor=4', '400 VALUE'],
    ['filter?text=tcp&cursor=999999999999999', '400 VALUE'],
    ['filter?text=tcp&cursor=1.5', '400 VALUE'],
    ['status?x=1', '400 VALUE'],
    ['stream?x=1', '400 VALUE'],
    ['nothing', '404 NOT_FOUND'],
    ['flows/a/b', '404 NOT_FOUND'],
  ];

  test('each wrong value is refused, as such', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()] });
    for (const [query, expected] of WRONG) {
      const { status, json } = await tester.ask(`${API}/${query}`, expected === '200' ? { method: 'HEAD' } : {});
      assert.equal(status === 200 ? '200' : `${status} ${json.error.code}`, expected, query.slice(0, 80));
      if (status !== 200) assertSchema('problem', json);
    }
  });

  test('an error of a filter says its place', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()], scope: undefined });
    for (const path of ['flows', 'groups', 'events']) {
      const { json } = await tester.ask(`${API}/${path}?filter=udp+and+dpart+53`);
      const { offset, length, column, suggestion, reason } = json.error;
      assert.deepEqual(
        { offset, length, column, suggestion, reason },
        {
          offset: 8,
          length: 5,
          column: 9,
          suggestion: 'udp and dport 53',
          reason: 'UNKNOWN_WORD',
        },
      );
    }
  });

  test('answers come only in a type that is wanted', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()] });
    const cases: readonly (readonly [string, string, number])[] = [
      ['flows', '*/*', 200],
      ['flows', 'application/*', 200],
      ['flows', 'text/html, application/json;q=0.5', 200],
      ['flows', 'Application/JSON', 200],
      ['flows', 'text/html,*/*;q=0.8', 200],
      ['flows', 'application/x-ndjson', 200],
      ['flows', 'text/html', 406],
      ['flows', 'application/json;q=0', 406],
      ['flows', '*/*;q=0.000', 406],
      ['groups', 'application/x-ndjson', 406],
      ['stream', 'application/json', 406],
      ['stream', 'text/event-stream', 200],
      ['events', 'text/*', 200],
      ['events', 'application/json', 406],
    ];
    for (const [path, accept, status] of cases) {
      const response = await tester.send(`${API}/${path}`, { headers: { accept } });
      await response.body?.cancel();
      assert.equal(response.status, status, `${path} ${accept}`);
    }
  });

  test('what an answer of HEAD would have taken is free again', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()], maxStreams: 2 });
    for (let n = 0; n < 6; n++)
      for (const [path, accept] of [
        ['flows', 'application/x-ndjson'],
        ['stream', '*/*'],
        ['events', '*/*'],
      ] as const) {
        const response = await tester.send(`${API}/${path}`, { method: 'HEAD', headers: { accept } });
        assert.deepEqual([response.status, response.body], [200, null], `${path} ${n}`);
      }
  });
});

suite('answers', () => {
  test('are as the schema says', async () => {
    const table = tableOf();
    table.add({ ...FLOW, srcNat: '203.0.113.1', helper: 'ftp' });
    await using tester = await WebTester.start({
      tables: [table],
      allowChanges: true,
      authorize: () => 'change',
      scope: undefined,
    });
    await tester.memory.list();
    table.change(table.flows[3]!, { original: { packets: 5n, bytes: 2n ** 60n }, reply: { packets: 1n, bytes: 60n } });
    await tester.memory.list();
    await tester.get(`${API}/status`, 'webStatus');
    const { flows } = await tester.get(`${API}/flows?sort=bytes&hold=1`, 'flowsAnswer');
    assert.equal(flows[0].flow.original.src, '10.0.0.1');
    const one = await tester.get(`${API}/flows/${flows[0].key}`, 'flowAnswer');
    assert.deepEqual(one.nat.original, {
      from: { address: '10.0.0.1', port: 40000 },
      to: { address: '192.0.2.1', port: 443 },
      source: { address: '203.0.113.1', port: 40000 },
    });
    assert.deepEqual(one.nat.reply, {
      from: { address: '192.0.2.1', port: 443 },
      to: { address: '203.0.113.1', port: 40000 },
      destination: { address: '10.0.0.1', port: 40000 },
    });
    for (const by of ['src', 'dst/16', 'pair', 'service', 'protocol', 'state', 'snat', 'mark/0xff', 'netns', 'zone'])
      if (by !== 'zone') tester.memory.pass(61_000);
      else assert.equal((await tester.get(`${API}/groups?by=${by}&limit=1`, 'groupsAnswer')).by, by);
    await tester.get(`${API}/series?seconds=10`, 'meterSeries');
    for (const text of ['', 'tcp and', 'tcp and dport 443', 'tcpx', 'status', 'mark 1 and bytes > 1M'])
      await tester.get(`${API}/filter?text=${encodeURIComponent(text)}`, 'filterAnswer');
    for (const counters of (await tester.ask(`${API}/statistics`)).json) assertSchema('cpuStatistics', counters);
    await tester.get(`${API}/deletions`, 'deletionPlan', { json: { filter: 'udp', dryRun: true } });
    await tester.get(`${API}/deletions`, 'deletionResult', { json: { filter: 'udp', max: 3 } });
    await tester.get(`${API}/flows/${flows[0].key}`, 'deletionResult', { method: 'DELETE' });
    assert.equal(table.flows.length, 0);
  });

  test('expectations come with their masters, within the scope', async () => {
    const table = new MemoryTable();
    const master = { src: '10.0.0.1', dst: '192.0.2.1', sport: 40000, dport: 21 };
    const other = { ...master, src: '10.0.0.2' };
    for (const original of [master, other]) table.add({ protocol: 'tcp', original, helper: 'ftp' });
    await using tester = await WebTester.start({
      tables: [table],
      scope: 'src 10.0.0.1',
      meterOptions: { filter: 'src 10.0.0.1' },
    });
    const whole = { src: '255.255.255.255', dst: '255.255.255.255', sport: 0, dport: 0xffff };
    for (const one of [master, other])
      await tester.memory.conntracks[0]!.expectations.create({
        protocol: 'tcp',
        master: one,
        tuple: { ...one, dport: 2000 },
        mask: whole,
      });
    const all = (await tester.ask(`${API}/expectations`)).json;
    assert.deepEqual(
      all.map(({ master }: { master: { src: string } }) => master.src),
      ['10.0.0.1'],
    );
    assertSchema('expectation', all[0]);
    const { flows } = await tester.get(`${API}/flows`, 'flowsAnswer');
    assert.equal((await tester.get(`${API}/flows/${flows[0].key}`, 'flowAnswer')).expected.length, 1);
  });

  test('readiness says why not', async () => {
    await using tester = await WebTester.start();
    assert.deepEqual([(await tester.ask('/readyz')).status, (await tester.ask('/healthz')).text], [200, 'ok\n']);
    const realNow = Date.now;
    try {
      Date.now = () => realNow() + 2 ** 40;
      const { status, text, headers } = await tester.ask('/readyz');
      assert.deepEqual([status, text, headers.get('retry-after')], [503, 'the last list is too old\n', '5']);
    } finally {
      Date.now = realNow;
    }
    tester.memory.meter.remove('0');
    await tester.memory.list();
    assert.deepEqual(await tester.ask('/readyz').then(({ status, text }) => [status, text]), [
      503,
      'the network namespace is gone\n',
    ]);
    assert.deepEqual((await tester.get(`${API}/status`, 'webStatus')).namespaces, []);
    assert.equal((await tester.get(`${API}/flows`, 'flowsAnswer')).total, 0);
    assert.equal((await tester.ask('/metrics')).status, 200);
  });

  test('by numbers are those of the flows that live', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()] });
    const { flows } = await tester.get(`${API}/flows?sort=src`, 'flowsAnswer');
    const [first, second, third] = flows.map(({ number }: { number: number }) => number);
    tester.table.expire(tester.table.flows.find(({ original }) => original.src === '10.0.0.1')!);
    await tester.memory.hear();
    const answer = await tester.get(`${API}/flows?numbers=${third},${second},${first}&hold=1`, 'flowsByNumber');
    assert.deepEqual(
      answer.flows.map(({ number }: { number: number }) => number),
      [third, first],
    );
  });

  test('about a minute of the past are those of the meter', async () => {
    mock.timers.enable({ apis: ['Date'], now: 1_760_000_040_000 });
    try {
      await using tester = await WebTester.start({ tables: [tableOf()], meterOptions: { minutes: true } });
      mock.timers.setTime(1_760_000_100_000);
      await tester.memory.list(60_000);
      const answer = await tester.get(`${API}/groups?by=src&at=1760000070&sort=flows&limit=2`, 'minuteAnswer');
      assert.deepEqual([answer.minute, answer.from, answer.matched, answer.count], [1_760_000_040, 'memory', 3, 3]);
      assert.deepEqual(
        answer.groups.map(({ key, flows }: { key: string; flows: number }) => [key, flows]),
        [
          ['10.0.0.0', 1],
          ['10.0.0.1', 1],
        ],
      );
    } finally {
      mock.timers.reset();
    }
  });

  test('come at once after a time when nobody looked, say how old they are, and bring the next list', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()], idleInterval: 2 ** 31 - 1, meterOptions: { interval: 2000 }, times: { attention: 20 } }); // biome-ignore format: one line
    const { meter } = tester.memory;
    while (meter.interval === 2000) await delay(5);
    assert.equal((await tester.ask('/readyz')).status, 200); // nobody who looks
    assert.equal(meter.interval, 2 ** 31 - 1);
    const { age } = await tester.get(`${API}/status`, 'webStatus');
    assert.ok(age >= 0.01 && age < 60, `${age}`);
    assert.equal(meter.interval, 2000);
    const { at } = await tester.get(`${API}/flows`, 'flowsAnswer');
    assert.equal(at, meter.sample.at);
  });

  test('of a meter that has ended are refused, and are no defects', async () => {
    await using tester = await WebTester.start();
    tester.memory.meter.close();
    for (const path of ['flows', 'groups', 'flows?cursor=', 'stream'])
      assert.equal(await tester.refusal(`${API}/${path}`), '503 ENDED', path);
    assert.deepEqual(tester.log, []);
  });

  test('a tag saves the answer as long as the sample is the same, but never what is held', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()] });
    const first = await tester.ask(`${API}/flows`);
    const tag = first.headers.get('etag')!;
    assert.match(tag, /^"[0-9a-f]{8}-1"$/);
    const again = await tester.ask(`${API}/flows`, { headers: { 'if-none-match': tag } });
    assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', tag]);
    assert.equal((await tester.ask(`${API}/flows`, { headers: { 'if-none-match': '"x"' } })).status, 200);
    assert.equal((await tester.ask(`${API}/flows?hold=1`, { headers: { 'if-none-match': tag } })).status, 200);
    assert.equal(await tester.refusal(`${API}/flows?offset=-1`, { headers: { 'if-none-match': tag } }), '400 VALUE');
    await tester.memory.list();
    assert.equal((await tester.ask(`${API}/flows`, { headers: { 'if-none-match': tag } })).status, 200);
  });

  test('sorting, parts and filters are those of the meter', async () => {
    await using tester = await WebTester.start({ tables: [tableOf(300)] });
    const { flows, matched, total } = await tester.get(
      `${API}/flows?filter=src+10.0.0.0/24&sort=src&offset=2&limit=3`,
      'flowsAnswer',
    );
    assert.deepEqual([matched, total], [256, 300]);
    assert.deepEqual(
      flows.map(({ flow }: { flow: { original: { src: string } } }) => flow.original.src),
      ['10.0.0.2', '10.0.0.3', '10.0.0.4'],
    );
    const reversed = await tester.get(`${API}/flows?sort=src&reverse=&limit=1`, 'flowsAnswer');
    assert.equal(reversed.flows[0].flow.original.src, '10.0.1.43');
    assert.equal((await tester.get(`${API}/flows?leastRate=0.5`, 'flowsAnswer')).matched, 0);
  });

  test('are of one namespace where it is asked for', async () => {
    await using tester = await WebTester.start({ tables: [tableOf(3), tableOf(2)] });
    const namesOf = (flows: readonly { netns: string }[]) => [...new Set(flows.map(({ netns }) => netns))].sort();
    const all = await tester.get(`${API}/flows`, 'flowsAnswer');
    assert.deepEqual([all.matched, namesOf(all.flows)], [5, ['0', '1']]);
    const one = await tester.get(`${API}/flows?netns=1`, 'flowsAnswer');
    assert.deepEqual([one.matched, one.total, one.totals.flows, namesOf(one.flows)], [2, 5, 2, ['1']]);
    const filtered = await tester.get(`${API}/flows?netns=0&filter=src+10.0.0.1`, 'flowsAnswer');
    assert.deepEqual([filtered.matched, namesOf(filtered.flows)], [1, ['0']]);
    const page = await tester.get(`${API}/flows?netns=0&cursor=&limit=2`, 'flowsPage');
    assert.deepEqual([page.matched, namesOf(page.flows)], [3, ['0']]);
    const lines = (await tester.ask(`${API}/flows?netns=1`, { headers: { accept: 'application/x-ndjson' } })).text;
    assert.equal(lines.trimEnd().split('\n').length, 2);
    const groups = await tester.get(`${API}/groups?netns=1&by=netns`, 'groupsAnswer');
    assert.deepEqual([groups.matched, groups.groups.map(({ key, flows }: { key: string; flows: number }) => [key, flows])], [2, [['1', 2]]]); // biome-ignore format: short
  });

  test('the API names every route', async () => {
    await using tester = await WebTester.start({ basePath: '/ct' });
    const { paths } = (await tester.ask(`/ct${API}/openapi.json`)).json;
    const named = Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    assert.deepEqual(named.sort(), ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
  });

  test('a filter can be anything', async () => {
    await using tester = await WebTester.start();
    const texts = [
      '"',
      '\\',
      '`$1`',
      '<img onerror=1>',
      '\u202e',
      '\ud800',
      '💥',
      '%',
      '%%',
      '\0',
      '__proto__',
      'a'.repeat(3000),
      '('.repeat(999),
    ];
    for (const text of texts)
      for (const cursor of ['', `&cursor=${Math.min(3, text.length)}`, '&cursor=0']) {
        const query = new URLSearchParams({ text });
        const answer = await tester.get(`${API}/filter?${query}${cursor}`, 'filterAnswer');
        assert.equal(answer.valid, false, text);
      }
  });

  test('a seventh grouping has to wait', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()] });
    for (const by of ['src', 'dst', 'pair', 'service', 'protocol', 'state'])
      await tester.get(`${API}/groups?by=${by}`, 'groupsAnswer');
    const { status, json, headers } = await tester.ask(`${API}/groups?by=zone`);
    assert.deepEqual([status, json.error.code, headers.get('retry-after')], [503, 'TOO_MANY_GROUPINGS', '60']);
  });
});

suite('the doctor', () => {
  const doctor = `${API}/doctor`;

  test('looks once for all who ask, and again after a while', async () => {
    await using tester = await WebTester.start({ tables: [tableOf()], times: { diagnosis: 500 } });
    const [first, second] = await Promise.all([1, 2].map(() => tester.get(doctor, 'doctorAnswer')));
    assert.ok(first.fine.includes('table-full'));
    assert.equal(first.at, second.at);
    assert.equal((await tester.get(doctor, 'doctorAnswer')).at, first.at);
    await delay(550);
    assert.ok((await tester.get(doctor, 'doctorAnswer')).at > first.at);
  });

  test('does not go on when the server ends', async () => {
    await using tester = await WebTester.start({ times: { sample: 60_000 } });
    const asked = tester.refusal(doctor);
    await delay(50);
    tester.handler.close();
    assert.equal(await asked, '503 ENDED');
    assert.deepEqual(tester.log, []);
  });

  test('reads no flows that the scope hides', async () => {
    const options = { tables: [tableOf()] };
    await using whole = await WebTester.start(options);
    await using tester = await WebTester.start({ ...options, scope: 'src 10.0.0.1', meterOptions: { filter: 'src 10.0.0.1' } });
    const isHidden = async (from: WebTester) =>
      (await from.get(doctor, 'doctorAnswer')).unchecked.some(({ reason }: { reason: string }) =>
        /flows was not read/.test(reason),
      );
    assert.deepEqual([await isHidden(whole), await isHidden(tester)], [false, true]);
  });

  test('names the namespaces of several', async () => {
    await using tester = await WebTester.start({ tables: [tableOf(), tableOf()] });
    const { unchecked } = await tester.get(doctor, 'doctorAnswer');
    assert.ok(unchecked.some(({ netns }: { netns?: string }) => netns === '1'));
  });

  test('explains a flow, and no more than a few at a time', async () => {
    const table = tableOf();
    table.add({ ...FLOW, srcNat: '203.0.113.1' });
    await using tester = await WebTester.start({ tables: [table] });
    const { flows } = await tester.get(`${API}/flows?sort=dport`, 'flowsAnswer');
    const path = (n: number) => `${API}/flows/${flows[n].key}/explanation`;
    const { title, facts } = await tester.get(path(3), 'explanation');
    assert.match(title, /^tcp 10\.0\.0\.1:40000 → 192\.0\.2\.1:443/);
    assert.ok(facts.some(({ text }: { text: string }) => text === 'SRC_NAT: this host translates its source'));
    const asked = await Promise.all([0, 0, 0, 0, 0, 0].map((n) => tester.ask(path(n))));
    assert.deepEqual(asked.map(({ status }) => status).sort(), [200, 200, 200, 200, 503, 503]);
    await tester.get(path(0), 'explanation');
    table.expire(table.flows[3]!);
    assert.equal(await tester.refusal(path(3)), '404 NOT_FOUND');
  });
});

suite('the scope', () => {
  test('hides other flows from every route', async () => {
    const table = tableOf();
    const options = { tables: [table], allowChanges: true, authorize: () => 'change' as const };
    await using whole = await WebTester.start(options);
    const outside = (await whole.get(`${API}/flows?filter=src+10.0.0.2`, 'flowsAnswer')).flows[0].key;
    await using tester = await WebTester.start({
      ...options,
      scope: 'src 10.0.0.0/31',
      meterOptions: { filter: 'src 10.0.0.0/31' },
    });
    const asked: readonly [string, Asked][] = [
      [`${API}/flows/${outside}`, {}],
      [`${API}/flows/${outside}/explanation`, {}],
      [`${API}/flows/${outside}`, { method: 'DELETE' }],
    ];
    for (const [path, request] of asked) assert.equal(await tester.refusal(path, request), '404 NOT_FOUND');
    for (const json of [
      { flows: [outside], max: 9 },
      { filter: 'src 10.0.0.2', max: 9 },
      { filter: '', all: true, max: 2 },
    ])
      await tester.get(`${API}/deletions`, 'deletionResult', { json });
    assert.deepEqual(
      table.flows.map(({ original }) => original.src),
      ['10.0.0.2'],
    );
    const events = await tester.stream(`${API}/events?filter=udp`);
    table.add({ protocol: 'udp', original: { src: '10.0.0.3', dport: 53 } });
    table.add({ protocol: 'tcp', original: { src: '10.0.0.0', dport: 53 } });
    table.add({ protocol: 'udp', original: { src: '10.0.0.1', dport: 53 } });
    assert.equal((await events.next())!.data.flow.original.src, '10.0.0.1');
    await events.cancel();
  });
});

suite('the log', () => {
  test('has refusals, but not without end', async () => {
    await using tester = await WebTester.start({ authorize: byHeader, hosts: [] });
    for (let n = 0; n < 500; n++) await tester.send(`${API}/status`);
    assert.ok(tester.log.length >= 10 && tester.log.length <= 40, `${tester.log.length} lines`);
    const { what, method, path, status } = tester.log[0]!;
    assert.deepEqual({ what, method, path, status }, { what: 'refused', method: 'GET', path: '/api/v1/status', status: 401 });
  });

  test('has the address that a trusted proxy tells, and no other', async () => {
    const peer = (address: string) => ({ address, port: 4711, localAddress: '127.0.0.1', localPort: 8466 });
    const clients: (string | undefined)[] = [];
    await using tester = await WebTester.start({
      trustProxy: ['127.0.0.1', 'unix'],
      authorize: (_, from) => {
        clients.push(from?.client);
        return undefined;
      },
    });
    const headers = { 'x-forwarded-for': '203.0.113.9, 192.0.2.7' };
    for (const address of ['127.0.0.1', '', '198.51.100.1']) await tester.send(`${API}/status`, { headers, peer: peer(address) });
    await tester.send(`${API}/status`, { peer: peer('127.0.0.1') });
    await tester.send(`${API}/status`, { headers });
    assert.deepEqual(
      tester.log.map((entry) => entry.peer),
      ['192.0.2.7', '192.0.2.7', '198.51.100.1:4711', '127.0.0.1:4711', undefined],
    );
    assert.deepEqual(clients, ['192.0.2.7', '192.0.2.7', undefined, undefined, undefined]);
  });
});
