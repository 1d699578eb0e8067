// The library against the kernel and the reference: what it lists, and how a table looks after its changes.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { inspect } from 'node:util';
import {
  ClosedError,
  Conntrack,
  DCCP_STATES,
  type Flow,
  flowKey,
  formatFlow,
  KernelError,
  matcher,
  type NewFlow,
  reverse,
  SCTP_STATES,
  TCP_STATES,
  ValueError,
} from '../../src/index.js';
import { CountedRequests } from '../support/counted-requests.js';
import { entryLines } from '../support/entries.js';
import { expectationText, flowText } from '../support/json-text.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { message } from '../support/netlink.js';
import { populate } from '../support/population.js';
import { REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

const FLUSH = message(0x102, 5, 0);
const MANY = 40_000;
const key = (sport: number) =>
  ({ protocol: 'udp', original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 } }) as const;
const udp = (sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  ...key(sport),
  timeout: 1000,
  ...more,
});

before(requirePrerequisites);
suite('library', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let ns: Namespace;
  let conntrack: Conntrack;
  before(async () => {
    ns = await Namespace.create('lib');
    conntrack = await Conntrack.open({ netns: ns.pid });
  });
  after(async () => {
    await conntrack?.close();
    await ns?.close();
  });
  const empty = () => ns.netlink([FLUSH]);
  const reference = async (line: string) => entryLines((await ns.must([REFERENCE, ...line.split(' ')])).toString());
  const still = (text: string) =>
    text
      .replace(/(^|\d )\d+(?= (proto=|[A-Z_0-9]* ?src=))/, '$1*')
      .replace(/delta-time=\d+/, 'delta-time=*')
      .replace(/ labels=.*/, '');

  suite('a table with one of everything', () => {
    before(() => populate(ns, { accounting: true, timestamps: true, traffic: 'all' }));

    for (const [line, filter] of [
      ['-L', {}],
      ['-L -f ipv6', { family: 'ipv6' }],
      ['-L -p tcp --state ESTABLISHED', { protocol: 'tcp', state: 'ESTABLISHED' }],
      ['-L -s 192.0.2.0/24 -p udp', { protocol: 'udp', original: { src: '192.0.2.0/24' } }],
      ['-L -m 7/0xf', { mark: { value: 7, mask: 15 } }],
      ['-L -u ASSURED', { status: ['ASSURED'] }],
      ['-L -u UNREPLIED', { not: { status: ['SEEN_REPLY'] } }],
      ['-L -w 5', { zone: 5 }],
      ['-L -p icmp --icmp-type 8', { protocol: 'icmp', original: { icmpType: 8 } }],
      ['-L -l web', { labels: [1] }],
      ['-L -p udp --reply-port-src 53', { all: [{ protocol: 'udp' }, { reply: { sport: 53 } }] }],
    ] as const)
      test(`list(${inspect(filter)}) is ${line}`, async () => {
        const expected = (await reference(`${line} -o extended,id`)).map(still);
        assert.ok(expected.length > 0);
        const flows = await conntrack.list(filter).toArray();
        assert.deepEqual(flows.map((flow) => still(flowText(flow.toJSON()))).sort(), expected.sort());
        assert.deepEqual(await conntrack.count(filter), { entries: expected.length, maxEntries: undefined });
        const all = await conntrack.list().toArray();
        const ids = (some: readonly Flow[]) => some.map(({ id }) => id).sort();
        assert.deepEqual(ids(all.filter(matcher(filter))), ids(flows));
      });

    for (const [line, form, options] of [
      ['', 'text', {}],
      [' -o extended,id', 'extended', { id: true }],
      [' -o save', 'save', {}],
    ] as const)
      test(`formatFlow(flow, '${form}') is a line of -L${line}`, async () => {
        const command = [UNDER_TEST, ...`-L${line}`.split(' ')];
        const expected = entryLines((await ns.must(command)).toString()).map(still);
        const flows = await conntrack.list().toArray();
        // In save, seconds are behind -t.
        const seconds = (text: string) => text.replace(/^-A -t \d+/, '-A -t *');
        assert.deepEqual(
          flows.map((flow) => seconds(still(formatFlow(structuredClone(flow), form, options)))).sort(),
          expected.map(seconds).sort(),
        );
      });

    test('no two flows of a table have one key, and the reply of one that is not translated answers its original', async () => {
      const flows = await conntrack.list().toArray();
      assert.equal(new Set(flows.map(flowKey)).size, flows.length);
      let answers = 0;
      for (const { original, reply, status } of flows) {
        if (status?.includes('SRC_NAT_DONE') || status?.includes('DST_NAT_DONE')) continue;
        if (reply.src.startsWith('203.0.113.') || reply.dst.startsWith('203.0.113.')) continue; // was made with another reply
        const { packets: _, bytes: __, seqAdj: ___, zone: ____, ...answer } = JSON.parse(JSON.stringify(reply));
        assert.deepEqual(reverse(original), answer);
        answers++;
      }
      assert.ok(answers > 30);
    });

    test('chosen members are the same as without choice, and the only ones', async () => {
      const all = await conntrack.list({ protocol: 'tcp' }).toArray();
      const some = await conntrack.list({ protocol: 'tcp' }, { fields: ['original', 'state', 'labels'] }).toArray();
      const chosen = ({ original, state, labels }: Flow) => JSON.stringify({ state, original, labels });
      assert.deepEqual(
        some.map((flow) => JSON.stringify(flow)),
        all.map(chosen),
      );
    });

    test('flows have what the type of their protocol says, and nothing else', async () => {
      const PORTS = ['sport', 'dport'];
      const ICMP = ['icmpType', 'icmpCode', 'icmpId'];
      // What must be there in each direction, what may be, and the members of the flow that may be.
      const rules: Record<Flow['protocol'], readonly [must: string[], may: string[], members: string[]]> = {
        tcp: [PORTS, [], ['state', 'tcp']],
        udp: [PORTS, [], []],
        udplite: [[], PORTS, []],
        sctp: [[], PORTS, ['state', 'sctp']],
        dccp: [[], PORTS, ['state', 'dccp']],
        gre: [[], PORTS, []],
        icmp: [ICMP, [], []],
        icmpv6: [ICMP, [], []],
        unknown: [[], [], []],
      };
      const STATES = { tcp: TCP_STATES, sctp: SCTP_STATES, dccp: DCCP_STATES };
      const has = (value: object, names: readonly string[]) => names.filter((name) => Object(value)[name] !== undefined);
      const seen = new Set<string>();
      for await (const flow of conntrack.list()) {
        const { protocol } = flow;
        const [must, may, members] = rules[protocol];
        seen.add(protocol);
        for (const side of [flow.original, flow.reply]) {
          const found = has(side, [...PORTS, ...ICMP]);
          assert.deepEqual(
            found.filter((name) => !may.includes(name)),
            must,
            inspect(flow),
          );
        }
        for (const name of has(flow, ['state', 'tcp', 'sctp', 'dccp'])) assert.ok(members.includes(name), inspect(flow));
        if (flow.state !== undefined)
          assert.ok((STATES[protocol as keyof typeof STATES] as readonly string[]).includes(flow.state), inspect(flow));
      }
      for (const protocol of ['tcp', 'udp', 'sctp', 'gre', 'icmp', 'icmpv6', 'unknown']) assert.ok(seen.has(protocol), protocol);
    });

    test('get() finds a flow by either tuple, and only the one with its id', async () => {
      const found = new Set<string>();
      for (const flow of await conntrack.list().toArray()) {
        found.add(flow.protocol);
        const again = await conntrack.get(flow);
        assert.equal(again?.id, flow.id);
        assert.equal(again?.use, flow.use);
        const { protocol, reply, zone } = flow;
        if (flow.original.zone === undefined) assert.equal((await conntrack.get({ protocol, reply, zone }))?.id, flow.id);
        assert.equal(await conntrack.get({ ...flow, id: (flow.id! ^ 1) >>> 0 } as Flow), undefined);
      }
      // Also of protocols that this kernel does not track, whose flows have no ports.
      for (const protocol of ['dccp', 'sctp', 'udplite', 'gre', 'icmp', 'unknown']) assert.ok(found.has(protocol), protocol);
      assert.equal(await conntrack.get({ protocol: 50, original: { src: '192.0.2.250', dst: '192.0.2.251' } }), undefined);
    });

    test('get() of a live view finds every flow, and only the one with its id', async () => {
      using live = await conntrack.watch();
      const flows = [...live];
      for (const protocol of ['tcp', 'udp', 'sctp', 'gre', 'icmp', 'icmpv6', 'unknown'])
        assert.ok(
          flows.some((flow) => flow.protocol === protocol),
          protocol,
        );
      assert.ok(flows.some((flow) => flow.zone !== undefined) && flows.some((flow) => flow.original.zone !== undefined));
      for (const flow of flows) {
        assert.deepEqual(live.get(flow)?.toJSON(), flow.toJSON());
        assert.equal(live.get({ ...flow, id: (flow.id! ^ 1) >>> 0 } as Flow), undefined);
        const { protocol, original, zone } = flow;
        const { src, dst, sport, dport, icmpType, icmpCode, icmpId, protonum } = original;
        const tuple = JSON.parse(
          JSON.stringify({ src, dst, sport, dport, icmpType, icmpCode, icmpId, protonum, zone: original.zone }),
        );
        const key = JSON.parse(JSON.stringify({ zone, ...(protocol === 'unknown' || sport === undefined ? {} : { protocol }) }));
        assert.equal(live.get({ ...key, original: tuple })?.id, flow.id);
        if (zone !== undefined) assert.notEqual(live.get({ ...key, zone: 65000, original: tuple })?.id, flow.id);
      }
      const [{ protocol, reply, zone }] = flows as [Flow];
      assert.throws(() => live.get({ protocol, reply, ...(zone === undefined ? {} : { zone }) } as Flow), ValueError);
      assert.equal(live.get({ protocol: 50, original: { src: '192.0.2.250', dst: '192.0.2.251' } }), undefined);
      // Deleted ones are gone from it as well, as soon as the event has come.
      const ended = new Promise<void>((resolve) => live.subscribe(({ type }) => type === 'DESTROY' && resolve()));
      const last = flows.find((flow) => flow.protocol === 'udp')!;
      await conntrack.deleteMany([last]);
      await ended;
      assert.equal(live.get(last), undefined);
      assert.equal(live.size, flows.length - 1);
      await conntrack.create(last, { mayExist: true });
    });

    test('expectations: list, count, get, delete, create', async () => {
      const { expectations } = conntrack;
      const expected = [...(await reference('-L expect -f ipv4')), ...(await reference('-L expect -f ipv6'))].map(still);
      const all = await expectations.list().toArray();
      assert.deepEqual(all.map((each) => still(expectationText(each.toJSON()))).sort(), expected.sort());
      assert.equal(await expectations.count(), all.length);
      const chosen = all.find((each) => each.family === 'ipv4' && each.tuple.protonum === 6)!;
      assert.equal((await expectations.get(chosen))?.id, chosen.id);
      assert.equal((await expectations.delete(chosen)).deleted, 1);
      assert.deepEqual(await expectations.delete(chosen), { matched: 0, deleted: 0, alreadyGone: 0, failed: 0 });
      assert.equal(await expectations.get(chosen), undefined);
      await assert.rejects(
        expectations.create({ ...chosen, master: { ...chosen.master, sport: 1 } } as never),
        (error) => error instanceof KernelError && error.code === 'ENOENT' && /master/.test(error.hint!),
      );
      await expectations.create(chosen);
      assert.deepEqual((await expectations.get(chosen))?.mask, chosen.mask);
      assert.equal((await expectations.statistics()).length, (await conntrack.statistics()).length);
    });

    test('statistics() has the counters of -S', async () => {
      const names = (await reference('-S')).map((line) => [...line.matchAll(/(\w+)=\d/g)].map(([, name]) => name));
      const found = (await conntrack.statistics()).map((cpu) =>
        Object.keys(cpu).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
      );
      assert.deepEqual(found, names);
    });
  });

  suite('changes', () => {
    before(empty);
    test('create, update, delete say exactly what happened', async () => {
      await conntrack.create(udp(1));
      await assert.rejects(conntrack.create(udp(1)), (error) => error instanceof KernelError && error.code === 'EEXIST');
      await conntrack.create(udp(1, { mark: 3 }), { mayExist: true });
      const created = await conntrack.createMany([udp(1), udp(2), udp(3)]);
      assert.deepEqual(
        { ...created, errors: created.errors?.map(({ index, error }) => [index, error.code]) },
        {
          given: 3,
          created: 2,
          partly: 0,
          withoutLabelRoom: 0,
          failed: 1,
          errors: [[0, 'EEXIST']],
        },
      );
      const rest = { alreadyGone: 0, withoutLabelRoom: 0, failed: 0 };
      assert.deepEqual(await conntrack.update({}, { mark: 3 }), { matched: 3, updated: 2, unchanged: 1, ...rest });
      const flows = await conntrack.list().toArray();
      assert.deepEqual(
        flows.map(({ mark }) => mark),
        [3, 3, 3],
      );
      assert.deepEqual(await conntrack.delete({ original: { sport: 2 } }), { matched: 1, deleted: 1, alreadyGone: 0, failed: 0 });
      // The first has made room for another with the same tuple, which stays; the second is gone.
      await conntrack.delete({ original: { sport: 1 } });
      await conntrack.create(udp(1));
      // The kernel makes ids of addresses, which it may use again.
      const id = (await conntrack.get(key(1)))!.id;
      const again = flows.some((flow) => flow.id === id) ? 1 : 0;
      assert.deepEqual(await conntrack.deleteMany(flows), { matched: 3, deleted: 1 + again, alreadyGone: 2 - again, failed: 0 });
      assert.equal((await conntrack.count()).entries, 1 - again);
      if (again) await conntrack.create(udp(1));
      await conntrack.flush({ family: 'ipv6' });
      assert.equal((await conntrack.count()).entries, 1);
      await conntrack.flush();
      assert.equal((await conntrack.count()).entries, 0);
    });

    test('many flows, from an async source, with masters behind those that need them', async () => {
      const master = udp(9);
      async function* flows() {
        yield udp(1, { master: { ...master.original!, protonum: 17 } });
        for (let sport = 10; sport < 300; sport++) yield udp(sport);
        yield master;
      }
      const result = await conntrack.createMany(flows());
      assert.deepEqual(result, { given: 292, created: 292, partly: 0, withoutLabelRoom: 0, failed: 0 });
      const [expected] = await conntrack.list({ original: { sport: 1 } }).toArray();
      assert.equal(expected?.master?.sport, 9);
      assert.equal((await conntrack.delete({})).deleted, 292);
    });

    test('no change of many flows keeps the thread, not of flows that wait, nor of what only new ones take', async () => {
      await conntrack.flush();
      const requests = new CountedRequests();
      await using counted = await Conntrack.open({ netns: ns.pid, transport: requests.open });
      const master = { ...udp(9).original!, protonum: 17 };
      const waiting = Array.from({ length: 250 }, (_, n) => udp(1000 + n, { master, status: ['ASSURED'] }));
      const all = [...waiting, udp(9)];
      requests.takeWaits();
      const first = await counted.createMany(all, { mayExist: true });
      assert.deepEqual(first, { given: 251, created: 251, partly: 0, withoutLabelRoom: 0, failed: 0 });
      // The kernel refuses a master to those that are there, and takes the rest.
      const again = await counted.createMany(
        all.map((flow) => ({ ...flow, mark: 5 })),
        { mayExist: true },
      );
      assert.deepEqual(again, { ...first, partly: 250 });
      assert.equal(requests.takeWaits(), 0);
      assert.equal((await counted.count({ mark: 5, not: { original: { sport: 9 } } })).entries, 250);
      await conntrack.flush();
    });

    test('what cannot get its labels is told', async () => {
      await using bare = await Namespace.create('lib-bare');
      await using other = await Conntrack.open({ netns: bare.pid });
      const labelled = udp(1, { labels: [1, 100] });
      const roomless = (error: unknown) =>
        error instanceof KernelError && error.code === 'ENOSPC' && /no room for labels/.test(error.hint!);
      await assert.rejects(other.create(labelled), roomless);
      await assert.rejects(other.create(labelled, { mayExist: true }), roomless);
      assert.equal(
        (await other.get({ protocol: 'udp', original: { src: '192.0.2.1', dst: '198.51.100.1', sport: 1, dport: 53 } }))?.labels,
        undefined,
      );
      const flows = [labelled, udp(2), udp(3, { labels: [] }), udp(4, { labels: [7], mark: 5 })];
      for (let time = 0; time < 2; time++)
        assert.deepEqual(await other.createMany(flows, { mayExist: true }), {
          given: 4,
          created: 4,
          partly: 0,
          withoutLabelRoom: 2,
          failed: 0,
        });
      assert.equal((await other.count({ mark: 5 })).entries, 1);
    });

    test('wrong values are refused before anything is sent', async () => {
      for (const wrong of [
        () => conntrack.delete({ original: { src: undefined } } as never),
        () => conntrack.delete({ orignal: {} } as never),
        () => conntrack.delete({ original: { dport: 65536 } }),
        () => conntrack.delete({ state: 'established' } as never),
        () => conntrack.delete(undefined as never),
        () => conntrack.update({}, {} as never),
        () => conntrack.update({}, { mark: undefined } as never),
        () => conntrack.update({}, { state: 'CLOSE' }),
        () => conntrack.create({ protocol: 'udp', timeout: 1 }),
        () => conntrack.create(udp(1, { timeout: undefined } as never)),
        () => conntrack.create(udp(1, { labels: [128] })),
        () => conntrack.delete({ protocol: 'udp', state: 'ESTABLISHED' } as never),
        () => conntrack.delete({ protocol: 'icmp', original: { dport: 53 } } as never),
        () => conntrack.watch({ mark: 1 } as never),
        () => conntrack.deleteMany([{ protocol: 'udp' } as never]),
        () => conntrack.deleteMany([{ protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2' } } as never]),
        () => conntrack.get({ protocol: 'udp', original: { src: '192.0.2.1' } } as never),
      ])
        await assert.rejects(wrong, (error) => error instanceof ValueError && error.code === 'VALUE', String(wrong));
      assert.throws(() => conntrack.list({ protocol: 'tpc' } as never), ValueError);
    });
  });

  suite(`a table of ${MANY} entries`, () => {
    before(async () => {
      await empty();
      const flows = manyFlows(MANY);
      for (let i = 0; i < flows.length; i += 5000) await ns.netlink(flows.slice(i, i + 5000));
    });

    test('each entry comes once', async () => {
      const sources = new Set<string>();
      for await (const { original } of conntrack.list({}, { fields: ['original'] })) sources.add(original.src);
      assert.equal(sources.size, MANY);
    });

    test('break, an error, a signal and close() end a list, and others go on', async () => {
      let count = 0;
      for await (const flow of conntrack.list()) {
        assert.equal(flow.protocol, 'udp');
        if (++count === 1000) break;
      }
      await assert.rejects(async () => {
        for await (const _ of conntrack.list()) throw new RangeError('mine');
      }, RangeError);
      const abort = new AbortController();
      count = 0;
      await assert.rejects(
        async () => {
          for await (const _ of conntrack.list({}, { signal: abort.signal })) if (++count === 500) abort.abort();
        },
        { name: 'AbortError' },
      );
      assert.equal(count, 500);
      await assert.rejects(conntrack.delete({}, { signal: AbortSignal.abort(new Error('never')) }), { message: 'never' });
      const second = await Conntrack.open({ netns: ns.pid });
      await assert.rejects(async () => {
        for await (const _ of second.list()) await second.close();
      }, ClosedError);
      await second.close();
      await assert.rejects(second.count(), ClosedError);
      assert.equal((await conntrack.list({}, { fields: ['id'] }).toArray()).length, MANY);
    });

    test('any number of lists and requests may be under way', async () => {
      const lists = Array.from({ length: 4 }, () => conntrack.list({}, { fields: ['id'] }).toArray());
      const asked = Array.from({ length: 50 }, (_, n) =>
        conntrack.get({
          protocol: 'udp',
          original: { src: `10.0.${n >> 8}.${n & 255}`, dst: '198.51.100.1', sport: 1024 + n, dport: 53 },
        }),
      );
      assert.deepEqual(
        (await Promise.all(lists)).map(({ length }) => length),
        [MANY, MANY, MANY, MANY],
      );
      for (const found of await Promise.all(asked)) assert.equal(found?.protocol, 'udp');
    });

    test('`await using` closes', async () => {
      let kept: Conntrack;
      {
        await using scoped = await Conntrack.open({ netns: ns.pid });
        kept = scoped;
        assert.equal((await scoped.count()).entries, MANY);
      }
      await assert.rejects(kept.count(), ClosedError);
    });

    // Counted, not timed: how late a turn is depends on what else runs. Times are in docs/library.md.
    test('the event loop goes on during lists and changes', async () => {
      const whileListing = async (work: () => void, fields?: ['id']) => {
        let turn = 0;
        let most = 0;
        let inTurn = 0;
        const stop = countTurns(() => {
          turn++;
          inTurn = 0;
        });
        try {
          for await (const _ of fields ? conntrack.list({}, { fields }) : conntrack.list()) {
            work();
            most = Math.max(most, ++inTurn);
          }
        } finally {
          stop();
        }
        assert.ok(turn >= 5, `${turn} turns`);
        assert.ok(most < MANY / 4, `${most} flows in one turn`);
      };
      await whileListing(() => {});
      // A reader that is slow itself: 20 µs for each.
      await whileListing(() => {
        for (const end = performance.now() + 0.02; performance.now() < end; );
      }, ['id']);
      const turnsOf = async (work: () => Promise<unknown>) => {
        let turns = 0;
        const stop = countTurns(() => turns++);
        await work().finally(stop);
        return turns;
      };
      await conntrack.list({ original: { src: '203.0.113.1' } }).toArray();
      const update = await turnsOf(async () =>
        assert.equal((await conntrack.update({ original: { src: '10.0.0.0/17' } }, { mark: 1 })).updated, 32768),
      );
      const remove = await turnsOf(async () =>
        assert.equal((await conntrack.delete({ original: { src: '10.0.0.0/18' } })).deleted, 16384),
      );
      // Each batch of a hundred is sent on another thread.
      assert.ok(update >= 300, `${update} turns in an update`);
      assert.ok(remove >= 150, `${remove} turns in a delete`);
      assert.ok((await turnsOf(() => conntrack.flush())) >= 1);
    });
  });
});

/** Calls back in every turn of the event loop. @returns what ends that */
function countTurns(each: () => void): () => void {
  let stopped = false;
  const turn = () => {
    if (stopped) return;
    each();
    setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    stopped = true;
  };
}
