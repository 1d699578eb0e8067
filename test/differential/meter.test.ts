// The meter on the kernel: what it counts is what was sent, and what it cannot know it says.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { ClosedError, Conntrack } from '../../src/index.js';
import { type FlowMeter, type MeterOptions, type MeterSample, type NoticeCode, openMeter } from '../../src/meter/index.js';
import { Namespace } from '../support/namespace.js';
import { PROJECT, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { CLIENT, makeTraffic, type Scene, SERVER } from '../support/traffic.js';

/** Headers of IPv4 and UDP, which the kernel counts, too. */
const HEADERS = 28;
const TRACKING = `table inet tracking { chain in { type filter hook input priority 0; ct state new accept; }; }`;
const HERE = '127.0.0.1';

const sum = ({ original, reply }: { original: number; reply: number }) => original + reply;

/** A meter that lists nothing unless it is asked to. */
async function quietMeter(tables: Conntrack | ReadonlyMap<string, Conntrack>, options: MeterOptions = {}): Promise<FlowMeter> {
  return openMeter(tables, { interval: 1e9, share: 1, ...options });
}

/** Samples until one is right: events may be on their way. */
async function listUntil(meter: FlowMeter, right: (sample: MeterSample) => boolean): Promise<MeterSample> {
  meter.interval = 500;
  let lists = 0;
  for await (const sample of meter) if (right(sample) || ++lists === 8) break;
  meter.interval = 1e9;
  return meter.sample;
}

/** The sample after the next list. */
const list = (meter: FlowMeter) => listUntil(meter, () => true);

const codes = (meter: FlowMeter): NoticeCode[] => meter.status.notices.map(({ code }) => code);

before(requirePrerequisites);
suite('meter', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  suite('between a client and a server', () => {
    let scene: Scene;
    let conntrack: Conntrack;
    before(async () => {
      scene = await makeTraffic({ accounting: true, timestamps: true });
      conntrack = await Conntrack.open({ netns: scene.router.pid });
      for (const port of [7001, 7002]) await scene.server.ask('udpServe', SERVER, port);
      await scene.server.ask('udpServe', SERVER, 2002, true).catch(() => {});
    });
    after(async () => {
      await conntrack?.close();
      await scene?.[Symbol.asyncDispose]();
    });

    test('the bytes of a flow are those that were sent, while it lives and in the end', async () => {
      await using meter = await quietMeter(conntrack);
      const filter = 'udp and dst port 7001';
      const { groups: none } = await meter.groups({ by: 'service', filter });
      assert.deepEqual(none, []);
      let sent = 0;
      const send = async (count: number, size: number) => {
        await scene.client.ask('udpSend', [CLIENT, 41_000], [SERVER, 7001], { count, size, answers: true });
        sent += count * (size + HEADERS);
      };
      for (const [count, size] of [
        [400, 1000],
        [1, 0],
        [300, 1400],
      ] as const) {
        const began = performance.now();
        await send(count, size);
        await list(meter);
        const { flows, totals } = await meter.flows({ filter });
        assert.equal(flows.length, 1);
        const { flow, rate, counters } = flows[0]!;
        assert.ok(Math.abs(Number(flow.original.bytes) - sent) <= sent / 100, `${flow.original.bytes}, not ${sent}`);
        assert.equal(flow.reply.bytes, flow.original.bytes);
        assert.equal(counters, 'kernel');
        assert.equal(totals.bytes!.original, Number(flow.original.bytes));
        // It had no more time for them than has passed here, and a second at least at first.
        const seconds = (performance.now() - began) / 1000;
        const more = count * (size + HEADERS);
        assert.ok(rate!.original <= more / 0.2 && rate!.original >= (0.9 * more) / Math.max(seconds, 2.5), `${rate!.original}`);
      }
      await send(50, 700);
      await conntrack.delete({ protocol: 'udp', original: { src: CLIENT, dst: SERVER, sport: 41_000, dport: 7001 } });
      const { counted } = await listUntil(meter, ({ counted }) => counted.ended === 1);
      assert.deepEqual([counted.bytes, counted.begun, counted.ended], [{ original: sent, reply: sent }, 1, 1]);
      assert.deepEqual([counted.packets, counted.unseen], [{ original: 751, reply: 751 }, 0]);
    });

    test('flows that begin and end between two lists are counted exactly', async () => {
      await using meter = await quietMeter(conntrack);
      await meter.groups({ by: 'dst/24' });
      const before = meter.sample.number;
      const FLOWS = 120;
      for (let n = 0; n < FLOWS; n++)
        await scene.client.ask('udpSend', [CLIENT, 42_000 + n], [SERVER, 7002], { count: 1 + (n % 3), size: n, answers: true });
      const { deleted } = await conntrack.delete('udp and dst port 7002');
      assert.equal(deleted, FLOWS);
      const { counted, number, flows } = await listUntil(meter, ({ counted }) => counted.ended === FLOWS);
      assert.ok(number > before && flows > 10);
      const expected = Array.from({ length: FLOWS }, (_, n) => (1 + (n % 3)) * (n + HEADERS)).reduce((a, b) => a + b);
      assert.deepEqual([counted.bytes, counted.begun, counted.ended], [{ original: expected, reply: expected }, FLOWS, FLOWS]);
      const { groups } = await meter.groups({ by: 'dst/24', filter: `dst ${SERVER}` });
      assert.deepEqual(groups[0]!.counted!.bytes, { original: expected, reply: expected });
      assert.equal(groups[0]!.counted!.begun, FLOWS);
      assert.deepEqual([groups[0]!.counted!.ended, groups[0]!.counted!.endedUnreplied], [FLOWS, 0]);
    });

    test('flows that end without an answer are counted for their group', async () => {
      await using meter = await quietMeter(conntrack);
      await meter.groups({ by: 'service' });
      const FLOWS = 5;
      const [ECHO, NOBODY] = [7002, 7009];
      const begin = async (n: number) => {
        for (const port of [ECHO, NOBODY])
          await scene.client.ask('udpSend', [CLIENT, 42_500 + n], [SERVER, port], { count: 1, size: n, answers: port === ECHO });
      };
      for (let n = 0; n < FLOWS; n++) await begin(n);
      const { deleted } = await conntrack.delete(`udp and dst port {${ECHO}, ${NOBODY}}`);
      assert.equal(deleted, 2 * FLOWS);
      // Groups are shown as long as they have flows.
      await begin(FLOWS);
      await listUntil(meter, ({ counted }) => counted.begun === 2 * FLOWS + 2 && counted.ended === 2 * FLOWS);
      const { groups } = await meter.groups({ by: 'service', filter: 'udp', sort: 'endedUnreplied', limit: 1000 });
      assert.equal(groups[0]!.key, `udp ${NOBODY}`);
      for (const port of [ECHO, NOBODY]) {
        const { begun, ended, endedUnreplied } = groups.find(({ key }) => key === `udp ${port}`)!.counted!;
        assert.deepEqual([begun, ended, endedUnreplied], [FLOWS + 1, FLOWS, port === ECHO ? 0 : FLOWS]);
      }
    });

    test('groups agree with a list, and their filters with groups', async () => {
      await using first = await quietMeter(conntrack);
      await using second = await quietMeter(conntrack);
      const flows = await conntrack.list().toArray();
      for (const [n, by] of (
        ['snat', 'dnat', 'service', 'state', 'zone', 'mark', 'label', 'helper', 'pair', 'src/24,64'] as const
      ).entries()) {
        const meter = n < 6 ? first : second; // six groupings at a time
        const { groups, other, total } = await meter.groups({ by, limit: 1000 });
        assert.equal(total, flows.length);
        assert.equal(
          groups.reduce((count, group) => count + group.flows, 0),
          flows.length,
          by,
        );
        assert.equal(other.flows, 0);
        for (const { filter, flows } of groups)
          if (filter) assert.equal((await conntrack.list(filter).toArray()).length, flows, `${by}: ${filter}`);
        if (by === 'snat') assert.ok(groups.some(({ key }) => key === 'udp 10.8.0.77'));
      }
    });

    test('counters that were set to 0 are noticed', async () => {
      await using meter = await quietMeter(conntrack);
      const { totals } = await meter.flows();
      assert.ok(sum(totals.bytes!) > 5000);
      assert.equal((await scene.router.run([UNDER_TEST, '-L', '-z'])).status, 0);
      await scene.client.ask('udpSend', [CLIENT, 30053], [SERVER, 53], { count: 1, size: 10, answers: true });
      const { counted } = await list(meter);
      assert.ok(counted.resets > 10, `${counted.resets}`);
      assert.deepEqual(counted.bytes, { original: 38, reply: 38 });
      const { flows } = await meter.flows({ filter: 'udp and src port 30053 and ip' });
      assert.equal(flows[0]!.flow.original.bytes, 38n);
    });

    test('two meters at once know the same', async () => {
      await using first = await quietMeter(conntrack);
      await using second = await quietMeter(conntrack, { filter: 'udp' });
      await scene.client.ask('udpSend', [CLIENT, 43_000], [SERVER, 7001], { count: 9, size: 100, answers: true });
      const [one, two] = await Promise.all([list(first), list(second)]);
      assert.deepEqual(one.counted.bytes, { original: 9 * 128, reply: 9 * 128 });
      assert.deepEqual(two.counted.bytes, one.counted.bytes);
      assert.deepEqual([two.protocols.tcp, two.flows], [0, one.protocols.udp]);
      assert.equal(two.entries, one.entries);
    });
  });

  suite('in a namespace of its own', () => {
    /** A namespace that tracks what it sends to itself. */
    async function open(name: string, settings: Readonly<Record<string, number>>) {
      const namespace = await Namespace.create(name);
      await namespace.sysctl(
        Object.fromEntries(Object.entries(settings).map(([name, value]) => [`net.netfilter.nf_conntrack_${name}`, value])),
      );
      await namespace.nft(TRACKING);
      await namespace.ask('udpServe', HERE, 53);
      const conntrack = await Conntrack.open({ netns: namespace.pid });
      return {
        namespace,
        conntrack,
        /** One datagram, and its answer. */
        send: (port: number) => namespace.ask('udpSend', [HERE, port], [HERE, 53], { count: 1, size: 72, answers: true }),
        /** Ends a flow. */
        end: (port: number) => conntrack.delete({ protocol: 'udp', original: { src: HERE, dst: HERE, sport: port, dport: 53 } }),
        [Symbol.asyncDispose]: async () => {
          await conntrack.close();
          await namespace.close();
        },
      };
    }

    test('without accounting there is a notice and no rate; flows that begin with it have counters', async () => {
      await using own = await open('meteracct', { acct: 0, events: 1, timestamp: 0 });
      await using meter = await quietMeter(own.conntrack);
      await own.send(1001);
      await list(meter);
      await list(meter);
      assert.deepEqual(codes(meter), ['ACCOUNTING_OFF', 'TIMESTAMP_OFF']);
      assert.deepEqual([meter.status.accounting, meter.status.timestamps], ['off', false]);
      const [without] = (await meter.flows()).flows;
      assert.deepEqual([without!.counters, without!.rate, without!.flow.original.bytes], ['none', undefined, undefined]);
      await own.namespace.sysctl({ 'net.netfilter.nf_conntrack_acct': 1 });
      await own.send(1002);
      await list(meter);
      await own.send(1002);
      const { counted } = await list(meter);
      assert.equal(meter.status.accounting, 'partly');
      assert.ok(codes(meter).includes('ACCOUNTING_PARTLY'));
      assert.deepEqual(counted.bytes, { original: 200, reply: 200 });
      const { flows } = await meter.flows({ sort: 'sport' });
      assert.deepEqual(
        flows.map(({ counters, rate, flow }) => [flow.original.sport, counters, rate !== undefined]),
        [
          [1001, 'none', false],
          [1002, 'kernel', true],
        ],
      );
      const { totals } = await meter.flows({ filter: 'has bytes' });
      assert.deepEqual([totals.flows, totals.bytes!.original], [1, 200]);
    });

    test('with events off, ends and beginnings are found by lists', async () => {
      await using own = await open('meterev0', { acct: 1, events: 0, timestamp: 1 });
      await using meter = await quietMeter(own.conntrack);
      assert.deepEqual([codes(meter), meter.status.events], [['EVENTS_OFF'], 'off']);
      await own.send(1001);
      await own.send(1002);
      await own.end(1002);
      const found = await list(meter);
      assert.deepEqual([found.counted.bytes.original, found.begun, found.ended], [100, 1, 0]);
      await own.end(1001);
      const { counted } = await list(meter);
      assert.deepEqual([counted.bytes.original, counted.ended, counted.unseen], [100, 1, 1]);
    });

    test('with all events nothing is unseen', async () => {
      await using own = await open('meterev1', { acct: 1, events: 1, timestamp: 1 });
      await own.send(1000);
      await using meter = await quietMeter(own.conntrack);
      assert.deepEqual([codes(meter), meter.status.events, meter.status.accounting], [[], 'all', 'on']);
      await own.send(1001);
      await own.send(1000);
      await own.end(1000);
      await own.end(1001);
      const { counted } = await listUntil(meter, ({ counted }) => counted.ended === 2);
      assert.deepEqual([counted.bytes.original, counted.begun, counted.ended, counted.unseen], [200, 1, 2, 0]);
    });

    test('where events are for those who listen, older flows may end unseen', async () => {
      await using own = await open('meterev2', { acct: 1, events: 2, timestamp: 1 });
      await own.send(1000);
      await using meter = await quietMeter(own.conntrack);
      assert.deepEqual([codes(meter), meter.status.events], [['EVENTS_NEW_ONLY'], 'new']);
      await own.send(1001);
      await own.send(1000);
      await own.end(1000);
      await own.end(1001);
      const { counted } = await listUntil(meter, ({ counted }) => counted.ended === 2);
      // A listener in another namespace counts, too (docs/kernel.md 7): then the older flow has an event.
      const { unseen } = counted;
      assert.ok(unseen <= 1);
      assert.deepEqual([counted.bytes.original, counted.begun, counted.ended], [200 - 100 * unseen, 1, 2]);
    });

    test('several namespaces are one meter, and come and go', async () => {
      const settings = { acct: 1, events: 1, timestamp: 1 };
      await using a = await open('metera', settings);
      await using b = await open('meterb', settings);
      await using c = await open('meterc', settings);
      await using meter = await quietMeter(new Map([['a', a.conntrack], ['b', b.conntrack], ['c', c.conntrack]])); // biome-ignore format: short
      for (const [own, ports] of [
        [a, [1, 2]],
        [b, [1]],
        [c, [1, 2, 3]],
      ] as const)
        for (const port of ports) await own.send(2000 + port);
      const all = await listUntil(meter, ({ counted }) => counted.bytes.original === 600);
      assert.deepEqual([all.counted.bytes.original, all.flows, all.entries], [600, 6, 6]);
      const by = async () => {
        const { groups } = await meter.groups({ by: 'netns', sort: 'key' });
        return groups.map(({ key, flows }) => `${key} ${flows}`);
      };
      assert.deepEqual(await by(), ['a 2', 'b 1', 'c 3']);
      meter.remove('b');
      await b[Symbol.asyncDispose]();
      await using d = await open('meterd', settings);
      await d.send(3000);
      await meter.add('d', d.conntrack);
      await d.send(3001);
      const later = await listUntil(meter, ({ counted }) => counted.bytes.original === 700);
      assert.deepEqual([later.counted.bytes.original, later.flows], [700, 7]);
      assert.deepEqual(
        later.namespaces.map(({ name }) => name),
        ['a', 'c', 'd'],
      );
      assert.deepEqual(await by(), ['a 2', 'c 3', 'd 2']);
      assert.equal(meter.failure, undefined);
      // The end of one that is in it is the end of the meter.
      await d.conntrack.close();
      await assert.rejects(meter.flows(), ClosedError);
    });

    test('it ends with its Conntrack and with its signal', async () => {
      await using own = await open('meterend', { acct: 1 });
      const control = new AbortController();
      const reason = new Error('enough');
      await using aborted = await quietMeter(own.conntrack, { signal: control.signal });
      control.abort(reason);
      await assert.rejects(aborted.flows(), reason);
      await using meter = await quietMeter(own.conntrack);
      await own.conntrack.close();
      await assert.rejects(meter.flows(), ClosedError);
      await assert.rejects(openMeter(own.conntrack), ClosedError);
    });

    test('without CAP_NET_ADMIN it is refused with the reason', async () => {
      await using own = await open('meternone', { acct: 1 });
      const script = `
        import { Conntrack } from '${PROJECT}/build/src/index.js';
        import { openMeter } from '${PROJECT}/build/src/meter/index.js';
        const conntrack = await Conntrack.open();
        await openMeter(conntrack).catch(({ name, code, hint }) => console.log(name, code, hint));
      `;
      const drop = ['setpriv', '--inh-caps=-net_admin', '--bounding-set=-net_admin'];
      const { stdout, stderr } = await own.namespace.run([...drop, process.execPath, '--input-type=module', '-e', script]);
      assert.match(stdout.toString(), /EPERM.*CAP_NET_ADMIN/, stderr.toString());
    });
  });
});
