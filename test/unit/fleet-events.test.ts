// Events of a fleet: each once and in order, of hosts that are there and of those that come back; what is lost is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/fleet/fleet.js';
import { watchFleet } from '../../src/fleet/fleet-watch.js';
import { FleetClient, type FleetEvent, type MissingHost } from '../../src/fleet/index.js';
import { MemoryTable } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { MemoryServers } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';
import { until } from '../support/watchers.js';

const WAIT = 10_000 * SLOWNESS;
const flow = (n: number, dport = 53) =>
  ({
    protocol: 'udp',
    original: { src: `10.0.${n >> 8}.${n & 0xff}`, dst: '192.0.2.53', sport: 1024, dport },
    timeout: 1000,
  }) as const;

/** Collects the events of a fleet, until it is left. */
function collect(client: FleetClient, filter: string | undefined, options: object = {}) {
  const abort = new AbortController();
  const events: FleetEvent[] = [];
  const watched: string[] = [];
  const lost: [string, number][] = [];
  const away: MissingHost[] = [];
  const done = (async () => {
    for await (const event of client.events(filter, {
      wait: WAIT,
      signal: abort.signal,
      onWatched: (host, again) => watched.push(again ? `${host} again` : host),
      onLost: (host, loss) => lost.push([host, loss.lost]),
      onAway: (missing) => away.push(missing),
      ...options,
    }))
      events.push(event);
  })();
  return {
    events,
    watched,
    lost,
    away,
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('enough'));
      await assert.rejects(done, /enough/);
    },
  };
}

test('each event comes once, in its order, with what happened and who caused it', async () => {
  const servers = new MemoryServers();
  const tables = { h0: new MemoryTable(), h1: new MemoryTable() };
  await using one = await startMemoryAgent(servers, 'h0', tables.h0);
  await using two = await startMemoryAgent(servers, 'h1', tables.h1);
  const client = new FleetClient(new Fleet(servers.connect(), 'alice'), undefined);
  {
    await using all = collect(client, undefined);
    await using some = collect(client, 'dst port 53', { types: ['DESTROY'], on: ['h0'] });
    await until('both are watched', () => all.watched.length === 2 && some.watched.length === 1);
    for (let n = 0; n < 5000; n++) {
      const added = tables.h0.add(flow(n, n % 2 ? 53 : 5060));
      if (n % 3 === 0) tables.h0.change(added, { mark: n });
      if (n % 7 === 0) tables.h0.expire(added);
    }
    tables.h1.add(flow(1));
    const expected: string[] = [];
    for (let n = 0; n < 5000; n++) {
      const src = flow(n).original.src;
      expected.push(`NEW ${src}`);
      if (n % 3 === 0) expected.push(`UPDATE ${src}`);
      if (n % 7 === 0) expected.push(`DESTROY ${src}`);
    }
    await until('they have come', () => all.events.length === expected.length + 1);
    const of = (host: string) =>
      all.events.filter((each) => each.host === host).map(({ event }) => `${event.type} ${event.flow.original.src}`);
    assert.deepEqual(of('h0'), expected);
    assert.deepEqual(of('h1'), ['NEW 10.0.0.1']);
    assert.ok(all.events.every(({ at }) => Math.abs(at - Date.now()) < 600_000));
    const ends = expected.filter((line, n) => line.startsWith('DESTROY') && n >= 0);
    await until('ends have come', () => some.events.length > 0);
    assert.deepEqual(
      some.events.map(({ event }) => `${event.type} ${event.flow.original.src}`),
      ends.filter((_, n) => (7 * n) % 2),
    );
    assert.deepEqual([all.lost, all.away], [[], []]);
  }
  await until('nobody is watched any more', () => [one, two].every(({ agent }) => agent.status.running === 0));
});

test('a host that ends is told, and watched again when it is back', async () => {
  const servers = new MemoryServers();
  const table = new MemoryTable();
  const client = new FleetClient(new Fleet(servers.connect(), 'alice'), undefined);
  const first = await startMemoryAgent(servers, 'h0', table);
  await using all = collect(client, undefined);
  await until('it is watched', () => all.watched.length === 1);
  await first[Symbol.asyncDispose]();
  await until('its end is told', () => all.away.length === 1);
  assert.deepEqual([all.away[0]!.host, all.away[0]!.why], ['h0', 'cancelled']);
  await using second = await startMemoryAgent(servers, 'h0', table);
  await until('it is watched again', () => all.watched.length === 2);
  assert.deepEqual(all.watched, ['h0', 'h0 again']);
  table.add(flow(1));
  await until('its events come', () => all.events.length === 1);
  assert.equal(second.agent.status.failed, 0);
});

test('what the kernel drops is told, behind what came before', async () => {
  const servers = new MemoryServers();
  const table = new MemoryTable();
  await using agent = await startMemoryAgent(servers, 'h0', table);
  const client = new FleetClient(new Fleet(servers.connect(), 'alice'), undefined);
  await using all = collect(client, undefined);
  await until('it is watched', () => all.watched.length === 1);
  table.add(flow(1));
  table.loseEvents(2);
  for (const n of [2, 3, 4]) table.add(flow(n));
  await until('it is told', () => all.lost.length === 1 && all.events.length === 2);
  assert.deepEqual(all.lost, [['h0', 2]]);
  assert.ok(agent);
});

test('while the reader is slow, no more is sent than it was asked for', async () => {
  const servers = new MemoryServers();
  const table = new MemoryTable();
  await using agent = await startMemoryAgent(servers, 'h0', table);
  const end = new AbortController();
  let release = () => {};
  const stopped = new Promise<void>((resolve) => {
    release = resolve;
  });
  let parts = 0;
  let rows = 0;
  let watched = false;
  let lost = 0;
  const watching = watchFleet(
    new Fleet(servers.connect(), 'alice'),
    {},
    { wait: WAIT, signal: end.signal },
    {
      rows: async (_host, _netns, body) => {
        parts++;
        const { Nl1Reader } = await import('../../src/fleet/nl1.js');
        rows += new Nl1Reader().read(body.slice(), () => {});
        await stopped;
        return { rows: 0 };
      },
      watched: () => {
        watched = true;
      },
      lost: (_host, loss) => {
        lost += loss.lost;
      },
      away: ({ why }) => assert.fail(why),
    },
  );
  await until('it is watched', () => watched);
  const before = servers.published;
  for (let n = 0; n < 20_000; n++) {
    table.add(flow(n));
    if (n % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  // The credits of the only host that is asked, signs of life, and what keeps it alive.
  assert.ok(servers.published - before < 40, `${servers.published - before} messages`);
  assert.equal(parts, 1);
  release();
  await until('everything came, or was told to be lost', () => rows + lost === 20_000);
  end.abort();
  await watching;
  assert.equal(agent.agent.status.failed, 0);
});

test('a host has so many watches, and refuses more', async () => {
  const servers = new MemoryServers();
  await using agent = await startMemoryAgent(servers, 'h0', new MemoryTable());
  const clients = Array.from({ length: 10 }, (_, n) => new FleetClient(new Fleet(servers.connect(), `u${n}`), undefined));
  const all = clients.map((client) => collect(client, undefined));
  await until('all have an answer', () => all.every(({ watched, away }) => watched.length + away.length > 0));
  assert.deepEqual(all.filter(({ away }) => away[0]?.why === 'overloaded').length, 2);
  // Questions are answered meanwhile.
  assert.equal((await clients[0]!.count('udp', { wait: WAIT })).complete, true);
  for (const each of all) await each[Symbol.asyncDispose]();
  assert.ok(agent);
});
