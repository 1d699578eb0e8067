// conntrack/fleet within this process: lists at the pace of their reader, and what an answer is that lacks hosts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/fleet/fleet.js';
import { FleetClient, FleetError, type FleetFlow } from '../../src/fleet/index.js';
import { encodeHostValue } from '../../src/fleet/inventory.js';
import { HOSTS_BUCKET } from '../../src/fleet/subjects.js';
import { MemoryTable } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { MemoryServers } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';
import { until } from '../support/watchers.js';

const OPTIONS = { wait: 10_000 * SLOWNESS, deadline: 20_000 * SLOWNESS };

async function fleetOf(...sizes: readonly number[]) {
  const servers = new MemoryServers();
  const started: Awaited<ReturnType<typeof startMemoryAgent>>[] = [];
  for (const [i, size] of sizes.entries()) {
    const table = new MemoryTable();
    for (let n = 0; n < size; n++)
      table.add({
        protocol: 'udp',
        original: { src: `10.0.${n >> 8}.${n & 0xff}`, dst: '192.0.2.53', sport: 1024, dport: n % 2 ? 53 : 5060 },
        timeout: 1000,
      });
    started.push(await startMemoryAgent(servers, `h${i}`, table));
  }
  return {
    servers,
    agents: started.map(({ agent }) => agent),
    client: new FleetClient(new Fleet(servers.connect(), 'alice'), undefined),
    async [Symbol.asyncDispose]() {
      for (const each of started) await each[Symbol.asyncDispose]();
    },
  };
}

test('a list has every flow once, and says how it ended', async () => {
  await using fleet = await fleetOf(8000, 3, 0);
  const list = fleet.client.list({}, { ...OPTIONS, order: 'host' });
  assert.equal(list.result, undefined);
  const all = await list.toArray();
  assert.equal(all.length, 8003);
  assert.equal(new Set(all.map(({ host, flow }) => `${host} ${flow.original.src}`)).size, 8003);
  const names = all.map(({ host }) => host);
  assert.deepEqual(names, [...names].sort());
  assert.deepEqual([list.result!.complete, list.result!.answered.length], [true, 3]);
  // Again, by a filter, and no more than so many.
  assert.equal((await fleet.client.list('dst port 53', OPTIONS).toArray()).length, 4001);
  assert.equal((await fleet.client.list('dst port 53', { ...OPTIONS, limit: 10 }).toArray()).length, 10);
  assert.equal((await fleet.client.list({}, { ...OPTIONS, on: ['h1'] }).toArray()).length, 3);
  const { total, hosts } = await fleet.client.count('dst port 53', OPTIONS);
  assert.deepEqual([total, hosts.get('h1')], [4001, { matched: 1, entries: 3, maxEntries: hosts.get('h1')!.maxEntries }]);
});

test('groups are those of all hosts together', async () => {
  await using fleet = await fleetOf(300, 3, 0);
  const { groups, count, atLeast, complete } = await fleet.client.top({}, { ...OPTIONS, by: 'service' });
  assert.deepEqual([groups.length, count, atLeast, complete], [2, 2, false, true]);
  assert.deepEqual(groups[0], {
    key: groups[0]!.key,
    flows: 152,
    unreplied: 0,
    bytes: 0,
    packets: 0,
    hosts: 2,
    most: { host: 'h0', flows: 150 },
  });
  assert.match(groups[0]!.key, /5060/);
  const few = await fleet.client.top('dst port 53', { ...OPTIONS, limit: 1 });
  assert.deepEqual([few.groups.length, few.count, few.groups[0]!.hosts], [1, 150, 2]);
});

test('whoever leaves the loop, or says so, frees the hosts', async () => {
  await using fleet = await fleetOf(8000, 8000);
  const free = () => until('nothing runs', () => fleet.agents.every(({ status }) => status.running === 0));
  let first: FleetFlow | undefined;
  for await (const row of fleet.client.list({}, OPTIONS)) {
    first = row;
    break;
  }
  assert.ok(first);
  await free();
  const abort = new AbortController();
  let taken = 0;
  await assert.rejects(async () => {
    for await (const _ of fleet.client.list({}, { ...OPTIONS, signal: abort.signal }))
      if (++taken === 100) abort.abort(new Error('enough'));
  }, /enough/);
  await free();
  await assert.rejects(fleet.client.list({}, { ...OPTIONS, signal: AbortSignal.abort(new Error('before')) }).toArray(), /before/);
});

test('a slow reader makes hosts wait', async () => {
  await using fleet = await fleetOf(20_000);
  let rows = 0;
  for await (const _ of fleet.client.list({}, OPTIONS)) {
    if (++rows !== 1) continue;
    let before = -1;
    await until('nothing more is sent', async () => {
      const now = fleet.servers.published;
      const still = now === before;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return still;
    });
  }
  assert.equal(rows, 20_000);
});

test('an answer that lacks hosts is no error, unless it is strict; a filter that is wrong is one at once', async () => {
  await using fleet = await fleetOf(5);
  const silent = {
    v: 1,
    site: 'default',
    state: 'up',
    instance: 'x',
    machine: '',
    pid: 1,
    agent: '0',
    features: ['list', 'count'],
  } as const;
  const value = {
    ...silent,
    host: 'silent',
    kernel: '',
    netns: [],
    entries: 0,
    maxEntries: 0,
    allow: [],
    off: [],
    clock: null,
    record: null,
  };
  await fleet.servers.connect().writeKey(HOSTS_BUCKET, 'silent', encodeHostValue(value), 0);
  const some = { ...OPTIONS, wait: 300 };
  const list = fleet.client.list({}, some);
  assert.equal((await list.toArray()).length, 5);
  assert.deepEqual(
    list.result!.missing.map(({ host, why }) => [host, why]),
    [['silent', 'silent']],
  );
  const strict = { ...some, strict: true };
  await assert.rejects(fleet.client.list({}, strict).toArray(), {
    code: 'INCOMPLETE',
    message: 'no complete answer of silent (silent)',
  });
  await assert.rejects(fleet.client.count({}, strict), { code: 'INCOMPLETE' });
  assert.throws(() => fleet.client.list('tcp and'), { code: 'FILTER' });
  await assert.rejects(fleet.client.planDelete('udp'), { code: 'CONFIG' });
});

test('without an inventory whoever hears the question answers it, and the answer is not complete', async () => {
  await using fleet = await fleetOf(5, 3, 0);
  const bus = fleet.servers.connect();
  bus.readBucket = async () => {
    throw new FleetError('UNAVAILABLE', 'there is no leader');
  };
  const client = new FleetClient(new Fleet(bus, 'alice'), undefined);
  const options = { ...OPTIONS, wait: 500 * SLOWNESS };
  const [all, some, rows] = await Promise.all([
    client.count({}, options),
    client.count('dst port 53', { ...options, on: ['h0', 'h7'] }),
    client.list({}, { ...options, limit: 4 }).toArray(),
    assert.rejects(client.count({}, { ...options, strict: true }), {
      code: 'INCOMPLETE',
      message: /not known: there is no leader/,
    }),
    assert.rejects(client.hosts(), { code: 'UNAVAILABLE' }),
  ]);
  assert.deepEqual([all.total, all.answered.length, all.missing], [8, 3, []]);
  assert.deepEqual([all.complete, all.unlisted], [false, 'there is no leader']);
  assert.deepEqual([some.total, [...some.hosts.keys()]], [2, ['h0']]);
  assert.equal(rows.length, 4);
});
