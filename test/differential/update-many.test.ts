// updateMany(), and updates that name one flow by its tuple and id: the resulting table, and the requests to the kernel.

import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { Conntrack, type FlowKeyInput, KernelError, type UpdateResult, ValueError } from '../../src/index.js';
import { CountedRequests } from '../support/counted-requests.js';
import { IPS_FIXED_TIMEOUT, type NewFlow, SCTP, type Side, TCP } from '../support/netlink.js';
import { closingLines } from '../support/outcome.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const side = (src: string, dst: string, sport: number, dport: number) => ({ src, dst, sport, dport }) satisfies Side;
const ends = (sport: number) => side('192.0.2.1', '198.51.100.1', sport, 53);
const udp = (sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: ends(sport),
  timeout: 100000,
  ...more,
});
const key = (sport: number, more: { zone?: number } = {}): FlowKeyInput => ({
  protocol: 'udp',
  original: ends(sport),
  ...more,
});
const NOTHING: UpdateResult = { matched: 0, updated: 0, alreadyGone: 0, unchanged: 0, withoutLabelRoom: 0, failed: 0 };

before(requirePrerequisites);
suite('updates of flows that are named', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let table: Table;
  let conntrack: Conntrack;
  const requests = new CountedRequests();
  before(async () => {
    table = await Table.create('named', { purpose: 'answer' });
    conntrack = await Conntrack.open({ netns: table.namespace.pid, transport: requests.open });
  });
  after(async () => {
    await conntrack?.close();
    await table?.[Symbol.asyncDispose]();
  });
  const marks = async () => new Map((await conntrack.list().toArray()).map(({ original, mark }) => [original.sport, mark]));

  suite('updateMany', () => {
    beforeEach(() =>
      table.fill([
        ...Array.from({ length: 250 }, (_, n) => udp(1000 + n, { mark: n % 2 })),
        { proto: 6, original: ends(1), timeout: 100000, tcpState: TCP.SYN_SENT },
        { proto: 132, original: ends(2), timeout: 100000, sctp: { state: SCTP.COOKIE_WAIT, originalTag: 7, replyTag: 8 } },
        udp(3, { status: IPS_FIXED_TIMEOUT }),
        udp(4, { zone: 5 }),
      ]),
    );

    test('each flow that is named gets the new values, and no other', async () => {
      const flows = (await conntrack.list({ protocol: 'udp', original: { dport: 53 } }).toArray()).filter(
        ({ original }) => original.sport! >= 1000,
      );
      requests.take();
      const result = await conntrack.updateMany(flows, { mark: 1 });
      assert.deepEqual(result, { ...NOTHING, matched: 250, updated: 125, unchanged: 125 });
      assert.deepEqual(requests.take(), { GET: 250, NEW: 125 });
      const all = await marks();
      assert.deepEqual([all.get(1), all.get(3), all.get(4)], [0, 0, 0]);
      assert.equal([...all.values()].filter((mark) => mark === 1).length, 250);
    });

    test('keys may come from an async source, name a flow by its reply, and name it twice', async () => {
      async function* keys() {
        yield key(1000);
        yield { protocol: 'udp', reply: side('198.51.100.1', '192.0.2.1', 53, 1002) } as const;
        yield key(4, { zone: 5 });
        yield key(1002);
      }
      assert.deepEqual(await conntrack.updateMany(keys(), { mark: 9 }), { ...NOTHING, matched: 4, updated: 4 });
      const all = await marks();
      assert.deepEqual([all.get(1000), all.get(1001), all.get(1002), all.get(4)], [9, 1, 9, 9]);
    });

    test('a mark with a mask, a timeout, status bits and labels, beside what is there', async () => {
      const change = { mark: { value: 0x10, mask: 0xf0 }, timeout: 777, status: ['ASSURED'], labels: { set: [1, 100] } } as const;
      assert.deepEqual(await conntrack.updateMany([key(1001)], change), { ...NOTHING, matched: 1, updated: 1 });
      const flow = await conntrack.get(key(1001));
      assert.equal(flow?.mark, 0x11);
      assert.ok(flow.timeout! > 700 && flow.timeout! <= 777);
      assert.deepEqual(flow.status, ['ASSURED', 'CONFIRMED']);
      assert.deepEqual(flow.labels, [1, 100]);
      const cleared = await conntrack.updateMany([flow], { labels: { set: [2], clear: [100] }, status: ['SEEN_REPLY'] });
      assert.deepEqual(cleared, { ...NOTHING, matched: 1, updated: 1 });
      const then = await conntrack.get(flow);
      assert.deepEqual([then?.labels, then?.status, then?.mark], [[1, 2], ['SEEN_REPLY', 'ASSURED', 'CONFIRMED'], 0x11]);
    });

    test('a state is one of the protocol of each, and tags that are not given stay', async () => {
      const keys = [
        { protocol: 'tcp', original: ends(1) },
        { protocol: 'sctp', original: ends(2) },
      ] as const;
      const result = await conntrack.updateMany(keys, { state: 'ESTABLISHED' });
      assert.deepEqual(result, { ...NOTHING, matched: 2, updated: 2 });
      assert.equal((await conntrack.get(keys[0]))?.state, 'ESTABLISHED');
      const association = await conntrack.get(keys[1]);
      assert.deepEqual([association?.state, association?.sctp], ['ESTABLISHED', { vtagOriginal: 7, vtagReply: 8 }]);
      await conntrack.updateMany([keys[1]], { sctp: { vtagReply: 9 } });
      assert.deepEqual((await conntrack.get(keys[1]))?.sctp, { vtagOriginal: 7, vtagReply: 9 });
      await assert.rejects(conntrack.updateMany([key(1000)], { state: 'ESTABLISHED' }), /udp has no states/);
      await assert.rejects(conntrack.updateMany(keys, { sctp: { vtagReply: 9 } }), /only flows of sctp have verification tags/);
    });

    test('one with another id is left alone, and so is nobody', async () => {
      const flow = (await conntrack.get(key(1000)))!;
      requests.take();
      const result = await conntrack.updateMany([{ ...flow, id: (flow.id! ^ 1) >>> 0 }, key(9999)], { mark: 9 });
      assert.deepEqual(result, { ...NOTHING, matched: 2, alreadyGone: 2 });
      assert.deepEqual(requests.take(), { GET: 2 });
      assert.equal((await conntrack.get(key(1000)))?.mark, 0);
    });

    test('a timeout of 0 ends the flow', async () => {
      assert.deepEqual(await conntrack.updateMany([key(1000)], { timeout: 0 }), { ...NOTHING, matched: 1, updated: 1 });
      assert.equal(await conntrack.get(key(1000)), undefined);
    });

    test('what the kernel refuses is counted with its reason, and the others are updated', async () => {
      const { errors, ...result } = await conntrack.updateMany([key(3), key(1000)], { timeout: 5000 });
      assert.deepEqual(result, { ...NOTHING, matched: 2, updated: 1, failed: 1 });
      const [error] = errors!;
      assert.ok(error instanceof KernelError && error.code === 'EPERM' && /FIXED_TIMEOUT/.test(error.hint!));
    });

    test('flows that began without labels get none, and the rest of what was asked for', async () => {
      await using bare = await Table.create('named-bare', { labels: false });
      await bare.fill([udp(1)]);
      await using other = await Conntrack.open({ netns: bare.namespace.pid });
      const result = await other.updateMany([key(1)], { mark: 9, labels: { set: [1] } });
      assert.deepEqual(result, { ...NOTHING, matched: 1, withoutLabelRoom: 1 });
      const flow = await other.get(key(1));
      assert.deepEqual([flow?.mark, flow?.labels], [9, undefined]);
    });

    test('what is no key or no update is refused before anything is sent', async () => {
      requests.take();
      for (const wrong of [
        () => conntrack.updateMany([key(1000)], {} as never),
        () => conntrack.updateMany([], { marc: 1 } as never),
        () => conntrack.updateMany([], null as never),
        () =>
          conntrack.updateMany([key(1000), { protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2' } } as never], {
            mark: 1,
          }),
        () => conntrack.updateMany([key(1000), { ...key(1001), prot: 6 } as never], { mark: 1 }),
      ])
        await assert.rejects(wrong, ValueError);
      assert.deepEqual(requests.take(), {});
    });

    test('a signal ends it between two sends', async () => {
      const abort = new AbortController();
      function* keys() {
        for (let n = 0; n < 250; n++) {
          if (n === 150) abort.abort(new RangeError('enough'));
          yield key(1000 + n);
        }
      }
      await assert.rejects(conntrack.updateMany(keys(), { mark: 9 }, { signal: abort.signal }), RangeError);
      assert.equal([...(await marks()).values()].filter((mark) => mark === 9).length % 100, 0);
    });
  });

  suite('a filter with a complete tuple and an id', () => {
    beforeEach(() => table.fill([udp(1), udp(2), udp(2, { zone: 5 }), { ...udp(3), original: { ...ends(3), zone: 6 } as Side }]));
    const filter = async (sport: number, zone?: number) => {
      const flows = await conntrack.list({ original: { sport } }).toArray();
      const { id } = flows.find((flow) => (flow.zone ?? flow.original.zone) === zone)!;
      requests.take();
      return { id: id!, protocol: 'udp', original: ends(sport) } as const;
    };

    test('is one question, not a list', async () => {
      const wanted = await filter(1);
      assert.equal((await conntrack.list(wanted).toArray()).length, 1);
      assert.deepEqual(requests.take(), { GET: 1 });
      assert.deepEqual(await conntrack.update(wanted, { mark: 4 }), { ...NOTHING, matched: 1, updated: 1 });
      assert.deepEqual(requests.take(), { GET: 3, NEW: 1 });
      assert.equal((await conntrack.delete(wanted)).deleted, 1);
      assert.deepEqual(requests.take(), { GET: 1, DELETE: 1 });
    });

    test('finds the one that has the id, in whatever zone', async () => {
      for (const [sport, zone] of [
        [2, undefined],
        [2, 5],
        [3, 6],
      ] as const) {
        const wanted = await filter(sport, zone);
        const flows = await conntrack.list(wanted).toArray();
        assert.deepEqual(
          flows.map(({ id, zone, original }) => [id, zone ?? original.zone]),
          [[wanted.id, zone]],
        );
        assert.equal(requests.take()['LIST'] ?? 0, zone === undefined ? 0 : 1);
      }
    });

    test('and so it is for the command', async () => {
      const words = (sport: number) => `-p udp -s 192.0.2.1 -d 198.51.100.1 --sport ${sport} --dport 53`;
      for (const [sport, zone] of [
        [1, undefined],
        [2, undefined],
        [2, 5],
        [3, 6],
      ] as const) {
        const { id } = await filter(sport, zone);
        for (const line of [`-U -i ${id} ${words(sport)} -m 7`, `-D -i ${id} ${words(sport)}`]) {
          const outcome = await table.run(line);
          assert.equal(outcome.status, '0', outcome.stderr);
          assert.match(closingLines(outcome.stderr), /^1 flow entries have been (updated|deleted)\.$/);
        }
      }
      assert.equal(await table.count(), 0);
    });
  });
});
