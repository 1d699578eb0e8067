// Questions to a fleet within this process: many agents, and agents that are silent, slow, wrong, or lie.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { H, packJson } from '../../src/fleet/bodies.js';
import type { BusMessage } from '../../src/fleet/bus.js';
import { Fleet } from '../../src/fleet/fleet.js';
import type { FleetVisitor } from '../../src/fleet/fleet-question.js';
import { encodeHostValue, type HostValue } from '../../src/fleet/inventory.js';
import { Nl1Reader, Nl1Writer } from '../../src/fleet/nl1.js';
import { HOSTS_BUCKET } from '../../src/fleet/subjects.js';
import { MemoryTable } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { type MemoryBus, MemoryServers } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';
import { until } from '../support/watchers.js';

const ASK = { wait: 10_000 * SLOWNESS, deadline: 20_000 * SLOWNESS };

const tables = new Map<number, MemoryTable>();

/** A table of so many flows, which hosts share. */
function tableOf(flows: number): MemoryTable {
  const known = tables.get(flows);
  if (known) return known;
  const table = new MemoryTable();
  tables.set(flows, table);
  for (let n = 0; n < flows; n++)
    table.add({
      protocol: 'udp',
      original: { src: `10.0.${n >> 8}.${n & 0xff}`, dst: '192.0.2.53', sport: 1024 + (n % 60_000), dport: n % 2 ? 53 : 5060 },
      timeout: 100_000,
    });
  return table;
}

/** A host with so many flows. */
function startAgent(servers: MemoryServers, host: string, flows: number, site?: string) {
  return startMemoryAgent(servers, host, tableOf(flows), site);
}

/** Several hosts, which end together. */
class Agents implements AsyncDisposable {
  readonly #all: AsyncDisposable[] = [];

  async add(...how: Parameters<typeof startAgent>): Promise<void> {
    this.#all.push(await startAgent(...how));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map((one) => one[Symbol.asyncDispose]()));
  }
}

/** Counts the flows of each host. */
function counter() {
  const rows = new Map<string, number>();
  const reader = new Nl1Reader();
  const visitor: FleetVisitor = {
    rows: (host, _netns, body) => {
      const taken = reader.read(body, () => {});
      rows.set(host, (rows.get(host) ?? 0) + taken);
      return { rows: taken };
    },
  };
  return { rows, visitor };
}

const VALUE: Omit<HostValue, 'host'> = {
  v: 1,
  site: 'default',
  state: 'up',
  instance: 'x',
  machine: '',
  pid: 1,
  agent: '0.1.0',
  features: ['list', 'count'],
  kernel: '',
  netns: [],
  entries: 0,
  maxEntries: 0,
  allow: [],
  off: [],
  record: null,
  clock: null,
};

interface FakeMessage {
  readonly kind: string;
  readonly data?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A host of our own making: what it says is said by `answer`, which may be called again. */
async function fake(
  servers: MemoryServers,
  host: string,
  answer: (say: (message: FakeMessage) => void, asked: number) => void,
  heard: (message: unknown) => void = () => {},
): Promise<MemoryBus> {
  const bus = servers.connect();
  if (!(await bus.hasBucket(HOSTS_BUCKET))) await bus.makeBucket(HOSTS_BUCKET);
  await bus.writeKey(HOSTS_BUCKET, host, encodeHostValue({ ...VALUE, host }), 0);
  let asked = 0;
  const take = (message: BusMessage) => {
    let number = 0;
    asked++;
    answer(({ kind, data = new Uint8Array(0), headers = {} }) => {
      bus.publish(`${message.reply}.${host}`, data, {
        headers: {
          [H.version]: '1',
          [H.instance]: 'x',
          [H.number]: `${number++}`,
          [H.kind]: kind,
          [H.encoding]: 'nl1',
          ...headers,
        },
      });
    }, asked);
  };
  bus.subscribe('ct.v1.q._._.*', take);
  bus.subscribe(`ct.v1.q.default.${host}.*`, take);
  bus.subscribe(`ct.v1.f.${host}.*`, ({ data }) => heard(JSON.parse(new TextDecoder().decode(data))));
  return bus;
}

function bodyOf(rows: number): Uint8Array {
  const writer = new Nl1Writer();
  for (let n = 0; n < rows; n++) writer.add(new DataView(new ArrayBuffer(40)), 0, 40);
  return writer.body();
}

const endOf = (rows: number, more: object = {}) => ({
  [H.end]: encodeURIComponent(JSON.stringify({ rows, ms: 1, complete: true, ...more })),
});

test('many agents: each answer is complete, small ones in one message and large ones by credits', async () => {
  const servers = new MemoryServers();
  await using agents = new Agents();
  for (let n = 0; n < 40; n++) await agents.add(servers, `h${n}`, n === 7 ? 8000 : n, n < 10 ? 'ams' : 'lon');
  const fleet = new Fleet(servers.connect(), 'alice');
  for (const order of ['arrival', 'host'] as const) {
    const { rows, visitor } = counter();
    const asked = await fleet.ask('list', {}, visitor, { ...ASK, order });
    assert.equal(asked.complete, true);
    assert.deepEqual(
      asked.answered.map(({ host, rows }) => [host, rows]).sort(),
      Array.from({ length: 40 }, (_, n) => [`h${n}`, n === 7 ? 8000 : n]).sort(),
    );
    assert.equal(rows.get('h7'), 8000);
    if (order === 'host') assert.deepEqual([...rows.keys()], [...rows.keys()].sort());
  }
  const counts = new Map<string, number>();
  const value = (host: string, told: unknown) => void counts.set(host, (told as { matched: number }).matched);
  const counted = await fleet.ask('count', { filter: 'dst port 53' }, { value }, { ...ASK, sites: ['ams'] });
  assert.deepEqual([counted.complete, counts.size, counts.get('h9'), counts.get('h7')], [true, 10, 4, 4000]);
  const some = counter();
  await fleet.ask('list', {}, some.visitor, { ...ASK, on: ['h1*'] });
  assert.deepEqual([...some.rows.keys()].sort(), ['h1', 'h10', 'h11', 'h12', 'h13', 'h14', 'h15', 'h16', 'h17', 'h18', 'h19']);
});

test('a reader that stops makes hosts wait, in bounded memory, and loses nothing', async () => {
  const servers = new MemoryServers();
  await using agents = new Agents();
  for (let n = 0; n < 12; n++) await agents.add(servers, `h${n}`, 8000);
  const fleet = new Fleet(servers.connect(), 'alice');
  const { rows, visitor } = counter();
  let release = () => {};
  const stopped = new Promise<void>((resolve) => {
    release = resolve;
  });
  let parts = 0;
  const slow: FleetVisitor = {
    rows: async (host, netns, body) => {
      parts++;
      const copy = body.slice();
      if (parts === 5) await stopped;
      return visitor.rows!(host, netns, copy);
    },
  };
  const asking = fleet.ask('list', {}, slow, ASK);
  await until('hosts wait', () => parts === 5, 60_000);
  let before = -1;
  await until('nothing more is sent', async () => {
    const now = servers.published;
    const still = now === before;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return still;
  });
  // Two for each host, and those that were taken: 12 x 8,000 flows are 36 parts.
  assert.equal(parts, 5);
  release();
  const { complete } = await asking;
  assert.equal(complete, true);
  assert.deepEqual(new Set(rows.values()), new Set([8000]));
});

test('hosts that are silent, answer half, or fail are named with their reasons; the others count', async () => {
  const servers = new MemoryServers();
  await using _good = await startAgent(servers, 'good', 10);
  await fake(servers, 'silent', () => {});
  await fake(servers, 'half', (say) => {
    say({ kind: 'head' });
  });
  await fake(servers, 'failing', (say) =>
    say({
      kind: 'error',
      data: packJson({ code: 'EPERM', message: 'not \u001b[31mallowed' }).data,
      headers: { [H.encoding]: 'json' },
    }),
  );
  await fake(servers, 'loaded', (say) =>
    say({ kind: 'error', data: packJson({ code: 'OVERLOADED', message: 'x' }).data, headers: { [H.encoding]: 'json' } }),
  );
  const { rows, visitor } = counter();
  const fleet = new Fleet(servers.connect(), 'alice');
  const { complete, missing, answered } = await fleet.ask('list', {}, visitor, { wait: 300, deadline: 300 });
  assert.equal(complete, false);
  assert.deepEqual(
    missing.map(({ host, why }) => [host, why]),
    [
      ['failing', 'error'],
      ['half', 'deadline'],
      ['loaded', 'overloaded'],
      ['silent', 'silent'],
    ],
  );
  assert.deepEqual(
    answered.map(({ host }) => host),
    ['good'],
  );
  assert.equal(rows.get('good'), 10);
});

/** What becomes of a host whose answer is wrong. */
async function wrong(answer: Parameters<typeof fake>[2], pause = 0) {
  const servers = new MemoryServers();
  const heard: unknown[] = [];
  await fake(servers, 'liar', answer, (message) => heard.push(message));
  const { rows, visitor } = counter();
  const fleet = new Fleet(servers.connect(), 'alice');
  const slow: FleetVisitor = {
    rows: async (...told) => {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      return visitor.rows!(...told);
    },
  };
  const { missing, complete } = await fleet.ask('list', {}, slow, { wait: 500 * SLOWNESS, deadline: 500 * SLOWNESS });
  return { complete, why: missing[0]?.why, code: missing[0]?.error?.code, rows: rows.get('liar') ?? 0, heard };
}

test('an agent that lost its connection in the middle of an answer says so at once, and the others count', async () => {
  const servers = new MemoryServers();
  await using agents = new Agents();
  await agents.add(servers, 'fw1', 10);
  await using large = await startAgent(servers, 'fw2', 9000);
  const { rows, visitor } = counter();
  let lost = false;
  const result = await new Fleet(servers.connect(), 'alice').ask(
    'list',
    {},
    {
      rows: (host, netns, body) => {
        if (host === 'fw2' && !lost) {
          lost = true;
          large.bus.reconnect();
        }
        return visitor.rows!(host, netns, body);
      },
    },
    ASK,
  );
  assert.ok(rows.get('fw2')! < 9000);
  assert.deepEqual(
    [rows.get('fw1'), result.missing.map(({ host, error }) => [host, error?.message])],
    [10, [['fw2', 'interrupted']]],
  );
});

test('in the order of hosts, one that is silent or stops in the middle does not hold up the others', async () => {
  const servers = new MemoryServers();
  await using agents = new Agents();
  await fake(servers, 'a-silent', () => {});
  await fake(servers, 'b-stops', (say) => say({ kind: 'head' }));
  await agents.add(servers, 'c-small', 10);
  await agents.add(servers, 'd-large', 4000);
  const order: string[] = [];
  const { rows, visitor } = counter();
  const fleet = new Fleet(servers.connect(), 'alice');
  const result = await fleet.ask(
    'list',
    {},
    {
      rows: (host, netns, body) => {
        if (order.at(-1) !== host) order.push(host);
        return visitor.rows!(host, netns, body);
      },
    },
    { wait: 2000 * SLOWNESS, deadline: 1000 * SLOWNESS, order: 'host' },
  );
  assert.deepEqual(order, ['c-small', 'd-large'], JSON.stringify(result));
  assert.deepEqual([rows.get('c-small'), rows.get('d-large')], [10, 4000]);
  assert.deepEqual(
    result.missing.map(({ host, why }) => [host, why]),
    [
      ['a-silent', 'silent'],
      ['b-stops', 'deadline'],
    ],
  );
});

test('a question that the servers do not let pass is told at once, of each host that was meant', async () => {
  const servers = new MemoryServers();
  await using agents = new Agents();
  await agents.add(servers, 'fw1', 10, 'ams');
  await agents.add(servers, 'fw2', 10, 'lon');
  const bus = servers.connect();
  const fleet = new Fleet(bus, 'alice');
  for (const [forbidden, sites, told] of [
    [/^ct\.v1\.q\./, undefined, ['fw1', 'fw2']],
    [/^ct\.v1\.q\.lon\./, ['ams', 'lon'], ['fw2']],
  ] as const) {
    bus.forbidden = (subject) => forbidden.test(subject);
    const result = await fleet.ask('count', {}, {}, { ...ASK, ...(sites ? { sites } : {}) });
    assert.deepEqual(
      result.missing.map(({ host, error }) => [host, error?.code]),
      told.map((host) => [host, 'UNAUTHORISED']),
    );
  }
});

test('lies are found out', async () => {
  const bomb = gzipSync(new Uint8Array(64 << 20));
  assert.ok(bomb.length < 256 << 10);
  const cases: Readonly<Record<string, readonly [FakeMessage[], string, string | undefined]>> = {
    'a zip bomb': [[{ kind: 'all', data: bomb, headers: { [H.zip]: 'gzip', ...endOf(0) } }], 'error', 'ENCODING'],
    'no zip': [[{ kind: 'all', data: bodyOf(1), headers: { [H.zip]: 'gzip', ...endOf(1) } }], 'error', 'ENCODING'],
    'an unknown compression': [
      [{ kind: 'all', data: bodyOf(1), headers: { [H.zip]: 'rot13', ...endOf(1) } }],
      'error',
      'ENCODING',
    ],
    'an unknown encoding': [
      [{ kind: 'all', data: bodyOf(1), headers: { [H.encoding]: 'nl2', ...endOf(1) } }],
      'error',
      'ENCODING',
    ],
    'another version': [[{ kind: 'all', data: bodyOf(1), headers: { [H.version]: '2', ...endOf(1) } }], 'error', 'VERSION'],
    'no body': [[{ kind: 'all', data: new Uint8Array(3), headers: endOf(0) }], 'error', 'DECODE'],
    'a body that is too large': [[{ kind: 'all', data: new Uint8Array(5 << 20), headers: endOf(0) }], 'error', 'ENCODING'],
    'more rows than came': [[{ kind: 'all', data: bodyOf(3), headers: endOf(4) }], 'hole', undefined],
    'fewer rows than came': [[{ kind: 'all', data: bodyOf(3), headers: endOf(2) }], 'hole', undefined],
    'no end': [[{ kind: 'all', data: bodyOf(3) }], 'error', 'ENCODING'],
    'an end that is no JSON': [[{ kind: 'all', data: bodyOf(3), headers: { [H.end]: '%7B' } }], 'error', 'ENCODING'],
    'an end that cannot be decoded': [[{ kind: 'all', data: bodyOf(3), headers: { [H.end]: '%ff' } }], 'error', 'ENCODING'],
    'no kind': [[{ kind: 'whatever' }], 'error', 'ENCODING'],
    'two agents': [[{ kind: 'head' }, { kind: 'head', headers: { [H.instance]: 'y' } }], 'error', 'TWO_AGENTS'],
    'an end that says why': [
      [{ kind: 'end', data: bodyOf(0), headers: endOf(0, { complete: false, reason: 'stalled' }) }],
      'stalled',
      undefined,
    ],
  };
  for (const [name, [messages, why, code]] of Object.entries(cases)) {
    const found = await wrong((say) => messages.forEach(say));
    assert.deepEqual([found.complete, found.why, found.code], [false, why, code], name);
  }
});

test('whoever sends more than was asked for is cut off', async () => {
  const { why, code, heard, rows } = await wrong((say) => {
    say({ kind: 'head' });
    for (let n = 0; n < 100; n++) say({ kind: 'part', data: bodyOf(10) });
  }, 100);
  assert.deepEqual([why, code], ['error', 'ENCODING']);
  assert.ok(rows <= 80);
  assert.ok(heard.some((message) => (message as { cancel?: boolean }).cancel));
});

test('a hole is asked for again if nothing was used, and told otherwise', async () => {
  const again = await wrong((say, asked) => {
    if (asked === 1) say({ kind: 'head', headers: { [H.number]: '1' } });
    else say({ kind: 'all', data: bodyOf(5), headers: endOf(5) });
  });
  assert.deepEqual([again.complete, again.rows], [true, 5]);
  const twice = await wrong((say) => say({ kind: 'head', headers: { [H.number]: '1' } }));
  assert.deepEqual([twice.complete, twice.why], [false, 'hole']);
  const used = await wrong((say) => {
    say({ kind: 'head' });
    say({ kind: 'part', data: bodyOf(5) });
    setTimeout(() => say({ kind: 'end', data: bodyOf(5), headers: { ...endOf(10), [H.number]: '3' } }), 100);
  });
  assert.deepEqual([used.complete, used.why, used.rows], [false, 'hole', 5]);
});

test('hosts that were not asked, and names that are none, are not heard', async () => {
  const servers = new MemoryServers();
  await using _good = await startAgent(servers, 'good', 3);
  const stranger = await fake(servers, 'stranger', (say) => say({ kind: 'all', data: bodyOf(9), headers: endOf(9) }));
  stranger.subscribe('ct.v1.q.>', ({ reply }) => {
    for (const name of ['Évil', '\u001b[2J', 'a.b', '_', 'x'.repeat(64), 'good'])
      stranger.publish(`${reply}.${name}`, bodyOf(9), {
        headers: { [H.version]: '1', [H.number]: '7', [H.kind]: 'all', ...endOf(9) },
      });
  });
  const { rows, visitor } = counter();
  const fleet = new Fleet(servers.connect(), 'alice');
  const asked = await fleet.ask('list', {}, visitor, { ...ASK, on: ['good'] });
  assert.deepEqual([...rows.keys()], ['good']);
  assert.ok(asked.answered.length + asked.missing.length === 1);
});

test('an asker that goes away without a word frees the host', async () => {
  const servers = new MemoryServers();
  await using large = await startAgent(servers, 'fw1', 9000);
  await using _small = await startAgent(servers, 'fw2', 0);
  const bus = servers.connect();
  const fleet = new Fleet(bus, 'alice');
  const gone = new AbortController();
  let taken = 0;
  // A reader that stops, in a process that is killed then: nothing is heard of it any more.
  const rows = () => {
    taken++;
    return new Promise<never>(() => {});
  };
  const asking = fleet.ask('list', {}, { rows }, { ...ASK, signal: gone.signal });
  await until('it has begun', () => taken === 1);
  bus.connected = false;
  assert.equal(large.agent.status.running, 1);
  await until('nothing runs', () => large.agent.status.running === 0, 15_000 * SLOWNESS);
  gone.abort();
  await asking;
});

test('a question that is given up frees the hosts', async () => {
  const servers = new MemoryServers();
  await using host = await startAgent(servers, 'h0', 8000);
  const fleet = new Fleet(servers.connect(), 'alice');
  const { visitor } = counter();
  // By a signal, by enough, by an error of the visitor.
  const abort = new AbortController();
  const given = await fleet.ask(
    'list',
    {},
    {
      rows: (name, netns, body) => {
        abort.abort();
        return visitor.rows!(name, netns, body);
      },
    },
    { ...ASK, signal: abort.signal },
  );
  assert.deepEqual([given.complete, given.missing[0]!.why], [false, 'cancelled']);
  await until('nothing runs', () => host.agent.status.running === 0);
  await fleet.ask('list', {}, { rows: () => ({ rows: 1, enough: true }) }, ASK);
  await until('nothing runs', () => host.agent.status.running === 0);
  const broken = { rows: () => Promise.reject(new Error('the reader is gone')) };
  await assert.rejects(fleet.ask('list', {}, broken, ASK), /the reader is gone/);
  await until('nothing runs', () => host.agent.status.running === 0);
});

test('questions that are none are refused with a reason, and harm nobody', async () => {
  const servers = new MemoryServers();
  await using _host = await startAgent(servers, 'h0', 3);
  const bus = servers.connect();
  const answers: string[] = [];
  const reply = `ct.v1.r.alice.${'a'.repeat(22)}`;
  const { headers } = packJson({});
  const ask = async (op: string, data: Uint8Array, more: Readonly<Record<string, string>> = {}) => {
    const qid = Array.from({ length: 22 }, () => 'abcdefghij'[Math.floor(Math.random() * 10)]).join('');
    const to = `ct.v1.r.alice.${qid}`;
    let told: string | undefined;
    const heard = bus.subscribe(`${to}.h0`, (message) => {
      told =
        message.header(H.kind) === 'error' ? JSON.parse(new TextDecoder().decode(message.data)).code : message.header(H.kind);
    });
    bus.publish(`ct.v1.q.default.h0.${op}`, data, { reply: to, headers: { ...headers, ...more } });
    await until(`an answer to ${op}`, () => told !== undefined);
    heard.unsubscribe();
    return told;
  };
  const text = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
  assert.equal(await ask('ping', text({})), 'all');
  assert.equal(await ask('explode', text({})), 'VERSION');
  assert.equal(await ask('ping', text({}), { [H.version]: '9' }), 'VERSION');
  assert.equal(await ask('list', text('{')), 'ENCODING');
  assert.equal(await ask('list', text('[]')), 'REQUEST');
  assert.equal(await ask('list', text('null')), 'REQUEST');
  assert.equal(await ask('list', text({ limit: -1 })), 'REQUEST');
  assert.equal(await ask('list', text({ filter: 7 })), 'REQUEST');
  assert.equal(await ask('list', text({ filter: 'tcp and' })), 'FILTER');
  assert.equal(await ask('list', text({ netns: ['none'] })), 'REQUEST');
  assert.equal(await ask('top', text({ by: 'moon' })), 'VALUE');
  assert.equal(await ask('top', text({ sort: '__proto__' })), 'REQUEST');
  assert.equal(await ask('list', text(`{"filter":"${'x'.repeat(70_000)}"}`)), 'REQUEST');
  // Where no answer may go, none goes: the subject of somebody else, or of nobody.
  bus.subscribe('>', ({ subject }) => answers.push(subject));
  for (const to of [
    '$KV.ct_hosts',
    'ct.v1.r.alice',
    `${reply}.x`,
    'ct.v1.r.ALICE.aaaaaaaaaaaaaaaaaaaaaa',
    `ct.v1.r.*.${'a'.repeat(22)}`,
  ])
    bus.publish('ct.v1.q.default.h0.ping', text({}), { reply: to, headers });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([...new Set(answers)], ['ct.v1.q.default.h0.ping']);
});
