// A program of a user, run inside a namespace: an agent and whoever asks it, through the entries of the package as they are shipped.
//
//   node fleet-program.js DIST SEED CHANGERS

import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import type * as fleetEntry from '../../src/fleet/index.js';
import type * as entry from '../../src/index.js';

const [dist, seed, changers] = process.argv.slice(2);
if (dist !== undefined) {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(`${dist}/${path}`).href);
  const { Conntrack } = (await load('index.js')) as typeof entry;
  const { connectFleet, FleetError, startAgent } = (await load('fleet/index.js')) as typeof fleetEntry;
  const servers = ['nats://127.0.0.1'];
  await using conntrack = await Conntrack.open();
  const told: string[] = [];
  {
    await using agent = await startAgent({
      servers,
      name: 'lib1',
      conntrack,
      allow: ['delete', 'update'],
      changers: changers!,
      tell: (line) => told.push(line),
    });
    assert.equal(agent.status.state, 'up');
    await assert.rejects(
      startAgent({ servers, name: 'lib1', allow: ['delete'] }),
      (error) => error instanceof FleetError && error.code === 'CONFIG',
    );
    await using fleet = await connectFleet({ servers, seed: seed! });
    const hosts = await fleet.hosts();
    assert.deepEqual(
      hosts.map(({ host, state, allow }) => [host, state, allow.join()]),
      [['lib1', 'up', 'delete,update']],
    );
    assert.match(hosts[0]!.agent, /^\d+\.\d+\.\d+/);

    const filter = { protocol: 'udp', original: { dport: 5060 } } as const;
    const list = fleet.list(filter, { order: 'host' });
    const ports = new Set<number>();
    for await (const { host, flow } of list) {
      assert.equal(host, 'lib1');
      ports.add((flow.original as { sport: number }).sport);
    }
    assert.deepEqual([list.result?.complete, list.result?.answered[0]?.rows], [true, ports.size]);
    const { total, complete } = await fleet.count(filter);
    assert.deepEqual([total, complete], [ports.size, true]);
    assert.ok((await fleet.statistics()).hosts.get('lib1')!.length > 0);

    const marked = await (await fleet.planUpdate(filter, { mark: 5 })).apply(total);
    assert.equal(marked[0]?.outcome?.updated, total);
    const plan = await fleet.planDelete('udp and dst port 5060 and mark 5');
    assert.equal(plan.matched, total);
    await assert.rejects(plan.apply(total - 1), RangeError);
    assert.equal((await plan.apply(total))[0]?.outcome?.deleted, total);
    assert.equal((await fleet.count(filter)).total, 0);
    const log = await fleet.log({ by: 'alice' });
    assert.ok(log.length >= 4 && log.every(({ trust }) => trust === 'signed'));
    process.stdout.write(`${JSON.stringify({ total, told: told.length > 0 })}\n`);
  }
  // Whoever does not answer is no error, unless everybody has to.
  await using fleet = await connectFleet({ servers });
  assert.equal((await fleet.hosts())[0]!.state, 'stopped');
  await assert.rejects(fleet.planDelete('udp'), /signed with a key/);
}
