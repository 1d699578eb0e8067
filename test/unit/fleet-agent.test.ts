// The life of an agent within this process: its name has one agent, and it ends though somebody lists its table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetAgent, type FleetAgentOptions } from '../../src/fleet/agent.js';
import { Fleet } from '../../src/fleet/fleet.js';
import { encodeHostValue, readHostValue } from '../../src/fleet/inventory.js';
import { Nl1Reader } from '../../src/fleet/nl1.js';
import { HOSTS_BUCKET } from '../../src/fleet/subjects.js';
import { Conntrack } from '../../src/index.js';
import { MemoryTable } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { MemoryServers } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';
import { until } from '../support/watchers.js';

const ASK = { wait: 10_000 * SLOWNESS, deadline: 20_000 * SLOWNESS };

test('a name has one agent: another machine is refused while it is alive, and takes it over when told to', async () => {
  const servers = new MemoryServers();
  const table = new MemoryTable();
  await using conntrack = await Conntrack.open({ transport: table.open });
  const start = (more: Partial<FleetAgentOptions> = {}) =>
    FleetAgent.start({
      bus: servers.connect(),
      host: 'fw1',
      site: 'default',
      tables: { conntracks: new Map([['own', conntrack]]), several: false },
      version: '0.1.0',
      pid: process.pid,
      makeBucket: true,
      tell: () => {},
      ...more,
    });
  const bus = servers.connect();
  await using first = await start({ bus });
  // As the agent of another machine would have written it.
  const entry = await bus.readKey(HOSTS_BUCKET, 'fw1');
  const value = readHostValue(entry!)!;
  await bus.writeKey(HOSTS_BUCKET, 'fw1', encodeHostValue({ ...value, machine: 'f'.repeat(32) }), entry!.revision);
  await assert.rejects(start(), { code: 'NAME_TAKEN', message: /^fw1 is alive on another machine \(id ffff\.\., \d+ s ago\)$/ });
  await using second = await start({ takeOver: true });
  // The first one notices with its next heartbeat, and that is soon after a reconnect.
  bus.reconnect();
  await assert.rejects(first.failed, { code: 'NAME_TAKEN', message: /another agent has taken the name fw1/ });
  assert.deepEqual([first.status.state, second.status.state], ['draining', 'up']);
});

test('an agent that is stopped ends a list of which nobody takes more, and says that it has stopped', async () => {
  const servers = new MemoryServers();
  const table = new MemoryTable({
    flows: Array.from({ length: 9000 }, (_, n) => ({
      protocol: 'udp' as const,
      original: { src: `10.0.${n >> 8}.${n & 0xff}`, dst: '192.0.2.53', sport: 1024, dport: 53 },
      timeout: 100_000,
    })),
  });
  const { agent, ...agents } = await startMemoryAgent(servers, 'fw1', table);
  await using _other = await startMemoryAgent(servers, 'fw2', new MemoryTable());
  const fleet = new Fleet(servers.connect(), 'alice');
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reader = new Nl1Reader();
  let begun = false;
  const rows = async (_: string, __: string | undefined, body: Uint8Array) => {
    const taken = reader.read(body, () => {});
    begun = true;
    await held;
    return { rows: taken };
  };
  const asking = fleet.ask('list', {}, { rows }, ASK);
  await until('it has begun', () => begun);
  assert.equal(agent.status.running, 1);
  await agent.stop();
  assert.deepEqual([agent.status.running, agent.status.state], [0, 'stopped']);
  release();
  assert.deepEqual(
    (await asking).missing.map(({ why }) => why),
    ['cancelled'],
  );
  await agents[Symbol.asyncDispose]();
});
