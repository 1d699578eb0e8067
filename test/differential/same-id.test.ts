// Flows that take the place of another with the same tuple, and its id: what the kernel does, and that a resync, a live view and an
// update tell the two apart if anything does.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { Conntrack, type FlowEvent } from '../../src/index.js';
import { ConntrackTable } from '../../src/library/table.js';
import { Namespace } from '../support/namespace.js';
import {
  deleteFlow,
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  type NewFlow,
  newFlow,
  updateFlow,
} from '../support/netlink.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { listeners, until } from '../support/watchers.js';

const flow = (more: Partial<NewFlow> = {}, sport = 1): NewFlow => ({
  proto: 17,
  original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
  timeout: 10_000,
  ...more,
});
const KEY = { protocol: 'udp', original: { src: '192.0.2.1', dst: '198.51.100.1', sport: 1, dport: 53 } } as const;
const SOURCE_NAT = { address: '203.0.113.1', port: 9999 };
/** The kernel reuses an id if the same processor makes the next flow: about every other time. */
const TRIES = 60;

before(requirePrerequisites);
suite('another flow with the same tuple and the same id', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('same-id');
    await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
  });
  after(() => namespace.close());

  async function open(timestamps: boolean): Promise<Conntrack> {
    await namespace.sysctl({ 'net.netfilter.nf_conntrack_timestamp': Number(timestamps) });
    const conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.flush();
    return conntrack;
  }

  /** Replaces the flow of KEY by another. @returns whether that has the same id */
  async function replace(conntrack: Conntrack, by: NewFlow): Promise<boolean> {
    const before = await conntrack.get(KEY);
    await namespace.netlink([deleteFlow(flow()), newFlow(by)]);
    return before?.id === (await conntrack.get(KEY))?.id;
  }

  /** Tries something in an empty table until the second flow gets the id of the first. */
  async function untilSameId(timestamps: boolean, attempt: (conntrack: Conntrack) => Promise<boolean>): Promise<void> {
    await using conntrack = await open(timestamps);
    for (let n = 0; n < TRIES; n++) {
      if (await attempt(conntrack)) return;
      await conntrack.flush();
    }
    assert.fail(`no flow got the id of another in ${TRIES} tries`);
  }

  /** More events than fit, for a stream that nobody reads. They need no memory that flows are made of. */
  const overflow = () => namespace.netlink(Array.from({ length: 100 }, (_, n) => updateFlow(flow(), { mark: n & 1 })));

  test('the kernel gives it', () =>
    untilSameId(false, async (conntrack) => {
      await namespace.netlink([newFlow(flow())]);
      if (!(await replace(conntrack, flow({ mark: 7 })))) return false;
      assert.equal((await conntrack.get(KEY))?.mark, 7);
      return true;
    }));

  test('the kernel takes no bit back that tells them apart', async () => {
    await using conntrack = await open(false);
    await namespace.netlink([newFlow(flow({ status: IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT }))]);
    for (const status of [0, IPS_SEEN_REPLY, IPS_SEEN_REPLY | IPS_ASSURED])
      await namespace.ask('netlink', [updateFlow(flow(), { status })]); // some are refused
    const { status } = (await conntrack.get(KEY))!;
    for (const bit of ['SEEN_REPLY', 'ASSURED', 'FIXED_TIMEOUT'] as const) assert.ok(status?.includes(bit), `${status}`);
  });

  /** What a resync reports about the flow of KEY, which another replaced unseen; `undefined` if that does not have the same id. */
  async function resync(conntrack: Conntrack, one: NewFlow, other: NewFlow): Promise<FlowEvent[] | undefined> {
    await namespace.netlink([newFlow(one)]);
    using events = conntrack.events({}, { initial: true, resync: true, receiveBuffer: 4096, highWaterMark: 1 });
    assert.equal((await events.next()).value?.origin, 'initial');
    // Nobody takes more of them: the stream stops reading, and what comes when its buffer is full is lost.
    await until('events are lost', async () => {
      await overflow();
      return (await listeners(namespace)).some(({ drops }) => drops > 0);
    });
    await overflow();
    if (!(await replace(conntrack, other))) return undefined;
    const told: FlowEvent[] = [];
    for await (const event of events) {
      if (event.origin === 'resync') told.push(event);
      if (event.origin === 'resync' && event.type !== 'DESTROY') return told;
    }
    return assert.fail('the stream has ended');
  }

  const cases: Readonly<Record<string, { readonly one: NewFlow; readonly other: NewFlow; readonly timestamps?: boolean }>> = {
    'of another reply': { one: flow(), other: flow({ sourceNat: SOURCE_NAT }) },
    'without an answer yet': { one: flow({ status: IPS_SEEN_REPLY }), other: flow() },
    'that is not assured': { one: flow({ status: IPS_SEEN_REPLY | IPS_ASSURED }), other: flow({ status: IPS_SEEN_REPLY }) },
    'that began later': { one: flow(), other: flow(), timestamps: true },
  };
  for (const [what, { one, other, timestamps = false }] of Object.entries(cases)) {
    test(`a resync tells the end of one and the beginning of the other, ${what}`, () =>
      untilSameId(timestamps, async (conntrack) => {
        const told = await resync(conntrack, one, other);
        if (!told) return false;
        assert.deepEqual(
          told.map(({ type, flow }) => [type, flow.original.sport, flow.id]),
          [
            ['DESTROY', 1, told[0]!.flow.id],
            ['NEW', 1, told[0]!.flow.id],
          ],
        );
        return true;
      }));

    test(`an update leaves the other alone, ${what}`, () =>
      untilSameId(timestamps, async (conntrack) => {
        await namespace.netlink([newFlow(one)]);
        const table = ConntrackTable.open({ netns: namespace.pid });
        try {
          let same: boolean | undefined;
          const beginBatch = async () => {
            same ??= await replace(conntrack, other); // the list has been received by then
          };
          const change = { mark: { value: 5, mask: 0xffffffff } };
          const result = await table.update({ kind: 'all', of: [] }, change, () => {}, { beginBatch });
          assert.deepEqual([result.matched, result.changed, result.alreadyGone], [1, 0, 1]);
          assert.equal((await conntrack.get(KEY))?.mark, 0);
          return same === true;
        } finally {
          table.close();
        }
      }));
  }

  test('where nothing tells them apart, the other is taken for the one', () =>
    untilSameId(false, async (conntrack) => {
      const told = await resync(conntrack, flow(), flow({ mark: 7 }));
      if (!told) return false;
      assert.deepEqual(
        told.map(({ type, flow }) => [type, flow.mark]),
        [['UPDATE', 7]],
      );
      return true;
    }));

  test('a delete by the key of the one deletes the other', () =>
    untilSameId(false, async (conntrack) => {
      await namespace.netlink([newFlow(flow({ status: IPS_SEEN_REPLY }))]);
      const listed = await conntrack.list().toArray();
      const same = await replace(conntrack, flow());
      const result = await conntrack.deleteMany(listed);
      assert.deepEqual(result, { matched: 1, deleted: Number(same), alreadyGone: Number(!same), failed: 0 });
      return same;
    }));
});
