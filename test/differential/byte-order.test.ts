// A session with this kernel, recorded, byte-swapped, and replayed on a machine with the other byte order: every request is found in the
// recording, and every result is the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as library from '../../src/index.js';
import { Conntrack } from '../../src/index.js';
import type * as testing from '../../src/testing/index.js';
import { Recorder } from '../../src/testing/index.js';
import { OtherMachine, turned } from '../support/byte-order.js';
import { Namespace } from '../support/namespace.js';
import { newFlow } from '../support/netlink.js';
import { populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';

/** Everything that does not depend on when it happens. @returns what was seen */
async function session(conntrack: Conntrack, act: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  const see = (what: string, value: unknown) => seen.push(`${what} ${JSON.stringify(value)}`);
  const events = conntrack.events();
  await act();
  const { value } = await events.next();
  see('event', value);
  events.close();
  for (const filter of [
    {},
    { family: 'ipv4', protocol: 'tcp', original: { dport: 80 } },
    { family: 'ipv4', original: { src: '192.0.2.1' }, mark: { value: 1, mask: 3 } },
    { labels: [1] },
    { state: 'ESTABLISHED', protocol: 'tcp' },
  ] as const)
    see('list', await conntrack.list(filter).toArray());
  const [first] = await conntrack.list({ protocol: 'udp' }).toArray();
  see('get', await conntrack.get(first!));
  see('update', await conntrack.update({ protocol: 'udp' }, { mark: 0x01020304, labels: { set: [2, 100] } }));
  see('delete', await conntrack.delete({ protocol: 'tcp' }));
  const flow = { protocol: 'udp', timeout: 100, original: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 } } as const;
  await conntrack.create(flow);
  see('refused', await conntrack.create(flow).catch(({ code }) => code));
  see('many', await conntrack.createMany([flow, { ...flow, original: { ...flow.original, sport: 9 }, labels: [3] }]));
  see('expectations', await conntrack.expectations.list().toArray());
  see('statistics', (await conntrack.statistics()).length);
  see('count', await conntrack.count());
  await conntrack.close();
  return seen;
}

test('a recording that is turned round replays', { skip: SELF_TEST ? 'the reference has no library' : false }, async () => {
  requirePrerequisites();
  await using there = await Namespace.create('order');
  await there.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
  await populate(there, { accounting: true, timestamps: true, traffic: 'none' });
  const lines: string[] = [];
  const recorder = new Recorder((line) => lines.push(line));
  const act = () =>
    there.netlink([
      newFlow({ proto: 17, original: { src: '10.1.0.1', dst: '10.1.0.2', sport: 1, dport: 2 }, timeout: 100, labels: [1, 40] }),
    ]);
  const seen = await session(await Conntrack.open({ netns: there.pid, transport: recorder.open }), act);
  assert.ok(seen.length > 10);

  const recording = lines.map((line) => {
    const step = JSON.parse(line);
    if (step.byteOrder) return JSON.stringify({ ...step, byteOrder: step.byteOrder === 'little' ? 'big' : 'little' });
    if (step.bytes === undefined) return line.trimEnd();
    return JSON.stringify({
      ...step,
      bytes: Buffer.from(turned(Buffer.from(step.bytes, 'base64'))).toString('base64'),
    });
  });
  using machine = new OtherMachine();
  const other = await machine.load<typeof library>('index');
  const { Replay } = await machine.load<typeof testing>('testing/index');
  const replay = Replay.fromText(`${recording.join('\n')}\n`);
  const conntrack = (await other.Conntrack.open({ transport: replay.open })) as unknown as Conntrack;
  assert.deepEqual(await session(conntrack, async () => {}), seen);
  replay.assertDone();
});
