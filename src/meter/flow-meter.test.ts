// The life of a meter: namespaces that come and go, ends of all kinds, samples, and questions that are refused.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryMeter } from '../../test/support/memory-meter.js';
import { ClosedError, FilterError, ValueError } from '../errors.js';
import { Conntrack, formatFilter } from '../library/index.js';
import { type FlowInit, MemoryTable } from '../testing/index.js';
import { FlowMeter } from './flow-meter.js';
import type { FlowsQuery, GroupsQuery, MeterOptions } from './index.js';
import { FlowDeletion, openMeter } from './index.js';

const flow = (sport: number, bytes = 0): FlowInit => ({
  protocol: 'udp',
  original: { src: '10.0.0.1', dst: '192.0.2.1', sport, dport: 53, packets: 1n, bytes: BigInt(bytes) },
  timeout: 1e6,
});

const table = (...ports: readonly number[]) => new MemoryTable({ flows: ports.map((port) => flow(port)) });
const over = ({ open }: MemoryTable) => Conntrack.open({ transport: open });
/** A meter that lists nothing by itself. */
const SLOW = { interval: 1e9 } as const;

/** A way to a table that calls `look` before each request. */
function beforeEach({ open }: MemoryTable, look: (request: Uint8Array) => void): typeof open {
  return (options) => {
    const transport = open(options);
    const { send, sendAsync } = transport;
    return Object.assign(transport, {
      send: (bytes: Uint8Array, length: number) => {
        look(bytes);
        send.call(transport, bytes, length);
      },
      sendAsync: (bytes: Uint8Array, length: number) => {
        look(bytes);
        return sendAsync.call(transport, bytes, length);
      },
    });
  };
}

suite('namespaces of a meter', () => {
  test('flows of each have its name, and sums are of all', async () => {
    await using scene = await MemoryMeter.over([table(1, 2), table(3)]);
    const { meter } = scene;
    const { flows, total } = await meter.flows();
    assert.deepEqual(flows.map(({ netns, flow }) => [netns, flow.original.sport]).sort(), [['0', 1], ['0', 2], ['1', 3]]); // biome-ignore format: short
    assert.equal(total, 3);
    assert.equal(meter.sample.entries, 3);
    assert.deepEqual(
      meter.sample.namespaces.map(({ name, entries }) => [name, entries]),
      [
        ['0', 2],
        ['1', 1],
      ],
    );
    const { groups } = await meter.groups({ by: 'netns', sort: 'key' });
    assert.deepEqual(groups.map(({ key, filter, flows }) => [key, filter, flows]), [['0', undefined, 2], ['1', undefined, 1]]); // biome-ignore format: short
  });

  test('the flows of a namespace that is removed are forgotten, what was counted in it is not', async () => {
    const [first, second] = [table(1), table(2, 3)];
    await using scene = await MemoryMeter.over([first, second]);
    const { meter } = scene;
    second.add(flow(4, 500));
    second.expire({ protocol: 'udp', original: flow(3).original! } as never);
    await scene.list();
    assert.equal(meter.sample.counted.bytes.original, 500);
    meter.remove('1');
    meter.remove('no such');
    first.add(flow(5, 70));
    const { counted, rate, flows, entries, begun, ended } = await scene.list(1000);
    assert.deepEqual([counted.bytes.original, counted.begun, counted.ended], [570, 2, 1]);
    assert.deepEqual([rate, flows, entries, begun, ended], [{ original: 70, reply: 0 }, 2, 2, 1, 0]);
    assert.deepEqual((await meter.flows()).flows.map(({ flow }) => flow.original.sport).sort(), [1, 5]);
    // Its end is no end of the meter any more.
    await scene.conntracks[1]!.close();
    await scene.list();
    assert.equal(meter.failure, undefined);
  });

  test('a meter without a namespace waits for one', async () => {
    await using conntrack = await over(table(1));
    await using meter = await openMeter(new Map(), { interval: 500 });
    assert.deepEqual([meter.sample.entries, meter.sample.flows, meter.sample.maxEntries], [0, 0, undefined]);
    await meter.add('late', conntrack);
    for await (const { flows } of meter) if (flows === 1) break;
    meter.remove('late');
    for await (const { flows } of meter) if (flows === 0) break;
    assert.equal(meter.failure, undefined);
    assert.deepEqual(
      meter.status.notices.map(({ code }) => code),
      ['NO_NAMESPACE'],
    );
    // It goes on at its pace.
    const began = performance.now();
    const { number } = meter.sample;
    for await (const next of meter) if (next.number >= number + 2) break;
    assert.ok(performance.now() - began > 400);
  });

  test('a namespace that comes again under its name is the same to whoever asks', async () => {
    await using scene = await MemoryMeter.over([table(1)]);
    const { meter } = scene;
    meter.remove('0');
    await using conntrack = await over(table(7, 8));
    await meter.add('0', conntrack);
    await scene.list();
    const { flows } = await meter.flows({ netns: '0' });
    assert.deepEqual(flows.map(({ netns, flow }) => [netns, flow.original.sport]).sort(), [[undefined, 7], [undefined, 8]]); // biome-ignore format: short
  });

  test('a namespace that comes takes neither the name nor the counts of one that went', async () => {
    const [first, second] = [table(1), table(2)];
    await using scene = await MemoryMeter.over([first, second]);
    const { meter } = scene;
    await meter.groups({ by: 'netns' });
    second.add(flow(9, 900));
    await scene.list();
    meter.remove('1');
    await using conntrack = await over(table(7));
    await meter.add('new', conntrack);
    scene.pass();
    const { groups } = await meter.groups({ by: 'netns', sort: 'key' });
    assert.deepEqual(
      groups.map(({ key, counted }) => [key, counted!.bytes.original]),
      [
        ['0', 0],
        ['new', 0],
      ],
    );
    // Nor are its flows in the first list new ones.
    assert.equal((await scene.list()).counted.begun, 1);
  });

  test('a name is taken once', async () => {
    await using conntrack = await over(table(1));
    await using meter = await openMeter(new Map([['blue', conntrack]]), SLOW);
    await assert.rejects(meter.add('blue', conntrack), ValueError);
    const both = await Promise.allSettled([meter.add('red', conntrack), meter.add('red', conntrack)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.deepEqual((await meter.flows()).flows.map(({ netns }) => netns).sort(), ['blue', 'red']);
    meter.remove('red');
    await meter.add('red', conntrack);
  });

  test('a namespace that cannot be listed is not in the meter', async () => {
    await using conntrack = await over(table(1));
    const closed = await over(table(2));
    await closed.close();
    await using meter = await openMeter(conntrack, SLOW);
    await assert.rejects(meter.add('closed', closed), ClosedError);
    assert.equal((await meter.flows()).total, 1);
    await meter.add('closed', conntrack); // the name is free
  });
});

suite('the end of a meter', () => {
  test('a closed Conntrack has no meter', async () => {
    const conntrack = await over(table(1));
    await conntrack.close();
    await assert.rejects(openMeter(conntrack), ClosedError);
  });

  test('the meter ends with its Conntrack', async () => {
    const conntrack = await over(table(1));
    await using meter = await openMeter(conntrack, SLOW);
    const reading = meter[Symbol.asyncIterator]().next();
    await conntrack.close();
    await assert.rejects(reading, ClosedError);
    await assert.rejects(meter.flows(), ClosedError);
    await assert.rejects(meter.groups({ by: 'src' }), ClosedError);
    assert.ok(meter.failure instanceof ClosedError);
  });

  test('a closed meter ends its readers, and answers nothing', async () => {
    await using conntrack = await over(table(1));
    const meter = await openMeter(conntrack, SLOW);
    const reading = meter[Symbol.asyncIterator]().next();
    meter.close();
    meter.close();
    assert.equal((await reading).done, true);
    assert.equal(meter.failure, undefined);
    await assert.rejects(meter.flows(), ClosedError);
    await assert.rejects(meter.add('more', conntrack), ClosedError);
    await meter[Symbol.asyncDispose]();
    assert.equal((await conntrack.list().toArray()).length, 1);
  });

  test('a signal ends it, with its reason', async () => {
    await using conntrack = await over(table(1));
    const reason = new Error('enough');
    await assert.rejects(openMeter(conntrack, { signal: AbortSignal.abort(reason) }), reason);
    const control = new AbortController();
    await using meter = await openMeter(conntrack, { ...SLOW, signal: control.signal });
    const reading = meter[Symbol.asyncIterator]().next();
    control.abort(reason);
    await assert.rejects(reading, reason);
    await assert.rejects(meter.flows(), reason);
    assert.equal(meter.failure, reason);
  });

  test('a signal, or the end of the Conntrack, ends the opening', async () => {
    const reason = new Error('enough');
    for (let turns = 0; turns < 8; turns++) {
      const control = new AbortController();
      const conntrack = await over(table(1));
      for (const [end, options, right] of [
        [() => control.abort(reason), { signal: control.signal }, (error: unknown) => error === reason],
        [() => conntrack.close(), {}, (error: unknown) => error instanceof ClosedError],
      ] as const) {
        let settled = false;
        const opening = openMeter(conntrack, { ...SLOW, ...options });
        opening.then(
          () => (settled = true),
          () => {},
        );
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        const wasOpen = settled;
        await end();
        const outcome = await opening.catch((error: unknown) => error);
        assert.ok(right(wasOpen ? (outcome as Awaited<typeof opening>).failure : outcome), `${turns}: ${outcome}`);
      }
    }
  });

  test('a signal during the first sample ends the opening, too', async () => {
    const control = new AbortController();
    const reason = new Error('enough');
    const GET_STATS_CPU = 4;
    const open = beforeEach(table(1), (request) => {
      if (request[4] === GET_STATS_CPU) control.abort(reason);
    });
    await using conntrack = await Conntrack.open({ transport: open });
    await assert.rejects(openMeter(conntrack, { ...SLOW, signal: control.signal }), reason);
    assert.ok(control.signal.aborted);
  });

  test('a namespace that is being added when the meter is closed stays out', async () => {
    const added = table(1);
    await using first = await over(table(1));
    await using second = await over(added);
    const meter = await openMeter(first, SLOW);
    const adding = meter.add('more', second);
    meter.close();
    await assert.rejects(adding, ClosedError);
    // Nobody listens any more: a watch that went on would take this.
    added.loseEvents(1);
    added.add(flow(77));
    await sleep(10);
    assert.equal(meter.failure, undefined);
  });
});

suite('samples', () => {
  test('each is read once, and a slow reader gets the newest', async () => {
    await using scene = await MemoryMeter.over([table(1)]);
    const { meter } = scene;
    const reader = meter[Symbol.asyncIterator]();
    const next = reader.next();
    await scene.list();
    assert.deepEqual([(await next).value!.number, (await next).value!.skipped], [2, 0]);
    for (let n = 0; n < 3; n++) await scene.list();
    const { value } = await reader.next();
    assert.deepEqual([value!.number, value!.skipped], [5, 2]);
    assert.equal(meter.sample.skipped, 0);
  });

  test('a sample says what has happened since the one before', async () => {
    const one = new MemoryTable({ accounting: true, flows: [flow(1, 1000)] });
    await using scene = await MemoryMeter.over([one]);
    const first = scene.meter.sample;
    assert.deepEqual(
      [first.number, first.seconds, first.rate, first.begun, first.ended, first.flows, first.counted.bytes.original],
      [1, 0, undefined, 0, 0, 1, 0],
    );
    one.add(flow(2, 500));
    one.change(flow(1) as never, { original: { bytes: 1600n, packets: 3n } });
    one.add(flow(3, 4000));
    one.expire(flow(3) as never);
    const second = await scene.list(2000);
    assert.deepEqual(
      [second.number, second.seconds, second.begun, second.ended, second.flows, second.unreplied],
      [2, 2, 2, 1, 2, 0],
    );
    assert.deepEqual(second.rate, { original: (500 + 600 + 4000) / 2, reply: 0 });
    assert.equal(second.packetRate, (1 + 2 + 1) / 2);
    assert.deepEqual(second.protocols, { tcp: 0, udp: 2, icmp: 0, other: 0 });
    assert.equal(second.maxEntries, 262_144);
    const { rateOriginal, dropped } = scene.meter.series({ seconds: 1 });
    assert.deepEqual([[...rateOriginal], [...dropped]], [[second.rate!.original], [0]]);
  });

  test('lists come by themselves', async () => {
    const one = table(1);
    await using conntrack = await over(one);
    const began = performance.now();
    await using meter = await openMeter(conntrack, { interval: 500 });
    one.add(flow(2, 300));
    for await (const { number, counted } of meter) {
      if (number === 2) assert.equal(counted.bytes.original, 300);
      if (number === 3) break;
    }
    const taken = performance.now() - began;
    assert.ok(taken >= 950 && taken < 4000, `${taken}`);
    meter.interval = 1e9;
    meter.interval = 500;
    for await (const { number } of meter) if (number === 4) break;
  });

  test('a flow is found by its number as long as it lives', async () => {
    const one = table(1, 2);
    await using scene = await MemoryMeter.over([one]);
    const { flows } = await scene.meter.flows({ sort: 'sport' });
    const { number } = flows[0]!;
    assert.equal(scene.meter.get(number)!.flow.original.sport, 1);
    one.expire(flow(1) as never);
    one.add(flow(1));
    await scene.list();
    assert.equal(scene.meter.get(number), undefined);
    const again = (await scene.meter.flows({ sort: 'sport' })).flows[0]!;
    assert.notEqual(again.number, number);
    assert.equal(scene.meter.get(12_345), undefined);
  });
});

suite('questions to a meter', () => {
  for (const [what, options, kind] of [
    ['a filter of what may change', { filter: 'mark 1' }, ValueError],
    ['a filter that is none', { filter: 'srcc 1' }, FilterError],
    ['too short an interval', { interval: 499 }, ValueError],
    ['an interval that is none', { interval: Number.NaN }, ValueError],
    ['no share', { share: 0 }, ValueError],
    ['more than a processor', { share: 1.1 }, ValueError],
  ] as const satisfies readonly (readonly [string, MeterOptions, unknown])[])
    test(`${what} is refused`, async () => {
      await using conntrack = await over(table(1));
      await assert.rejects(openMeter(conntrack, options), kind);
    });

  test('unknown words and numbers are refused, with a hint', async () => {
    await using scene = await MemoryMeter.over([table(1)]);
    const { meter } = scene;
    for (const query of [{ sort: 'byte' }, { limit: -1 }, { offset: Number.NaN }, { limit: '5' }, { offset: 0.5 }])
      await assert.rejects(meter.flows(query as FlowsQuery), ValueError, JSON.stringify(query));
    for (const query of [{ by: 'scr' }, { by: 'src', sort: 'age' }, { by: 'src/200' }, { by: 'src', limit: 1.5 }])
      await assert.rejects(meter.groups(query as GroupsQuery), ValueError, JSON.stringify(query));
    await assert.rejects(meter.flows({ sort: 'byte' as 'bytes' }), { hint: 'did you mean bytes?' });
    await assert.rejects(meter.flows({ filter: 'srcc 10.0.0.1' }), FilterError);
    assert.throws(() => meter.series({ seconds: 0 }), ValueError);
    assert.throws(() => {
      meter.interval = 10;
    }, ValueError);
  });

  test('six groupings are kept at a time, each for a minute after the last question', async () => {
    await using scene = await MemoryMeter.over([table(1)]);
    const { meter } = scene;
    for (const by of ['src', 'dst', 'pair', 'service', 'protocol', 'state'] as const) await meter.groups({ by });
    await assert.rejects(meter.groups({ by: 'zone' }), /6 groupings/);
    scene.pass(59_000);
    await meter.groups({ by: 'src' });
    scene.pass(1000);
    for (const by of ['zone', 'mark', 'label', 'helper', 'family'] as const) await meter.groups({ by });
    await assert.rejects(meter.groups({ by: 'dst' }), /6 groupings/);
    assert.equal((await meter.groups({ by: 'src' })).count, 1);
  });

  test('a filter as an object may be longer than a text may be', async () => {
    await using scene = await MemoryMeter.over([table(1, 2, 3)]);
    const any = Array.from({ length: 400 }, (_, n) => ({ original: { sport: n + 2 } }));
    const filter = { any };
    assert.ok(formatFilter(filter).length > 4096);
    assert.equal((await scene.meter.flows({ filter })).matched, 2);
    assert.equal((await scene.meter.groups({ by: 'src', filter })).matched, 2);
    const deletion = new FlowDeletion(scene.meter, new Map([['0', scene.conntracks[0]!]]), 'udp', undefined);
    const plan = await deletion.plan({ filter });
    assert.equal(plan.count, 2);
    const result = await deletion.run(plan);
    assert.equal(result.deleted, 2);
    assert.equal(await deletion.cameBack(plan, result), 0);
  });

  test('a meter with a filter knows no other flows', async () => {
    const one = table(1, 2);
    await using scene = await MemoryMeter.over([one], { filter: { original: { sport: 2 } } });
    one.add(flow(2000));
    one.add({ ...flow(2), protocol: 'tcp' });
    const { flows, entries } = await scene.list();
    assert.deepEqual([flows, entries], [2, 4]);
  });

  test('flows that are held are read between lists', async () => {
    const one = new MemoryTable({ flows: [flow(1, 100), flow(2, 100)] });
    await using conntrack = await over(one);
    await using meter = await openMeter(conntrack, { interval: 1e9 });
    const { flows } = await meter.flows({ sort: 'sport' });
    meter.hold([flows[0]!.number, 999]);
    for (const port of [1, 2]) one.change(flow(port) as never, { original: { bytes: 5100n, packets: 5n } });
    await sleep(1200);
    const held = meter.get(flows[0]!.number)!;
    assert.equal(held.flow.original.bytes, 5100n);
    assert.ok(held.rate!.original > 2500 && held.rate!.original < 6000, `${held.rate!.original}`);
    assert.equal(meter.get(flows[1]!.number)!.flow.original.bytes, 100n);
    // One that ends, and begins again with the same id, is not held: its counters are those of another.
    one.expire(flow(1) as never);
    one.add(flow(1, 7));
    await sleep(1100);
    assert.equal(meter.get(flows[0]!.number), undefined);
    const again = (await meter.flows()).flows.find(({ flow }) => flow.original.sport === 1)!;
    assert.equal(again.counters, 'none');
  });

  test('a flow that is replaced while it is read is not taken for the one before', async () => {
    const one = new MemoryTable({ flows: [flow(1, 5000)] });
    let replace = () => {};
    const open = beforeEach(one, (request) => {
      const asksForOne = request[4] === 1 && request[5] === 1 && (request[7]! & 3) === 0;
      if (asksForOne) replace();
    });
    await using conntrack = await Conntrack.open({ transport: open });
    await using meter = await openMeter(conntrack, SLOW);
    const { number } = (await meter.flows()).flows[0]!;
    let replaced = 0;
    replace = () => {
      replaced++;
      one.expire(flow(1) as never);
      one.add(flow(1, 7));
    };
    meter.hold([number]);
    await sleep(1100);
    assert.equal(replaced, 1);
    await FlowMeter.sweep(meter);
    const { resets, bytes, begun, ended } = meter.sample.counted;
    assert.deepEqual([resets, bytes.original, begun, ended], [0, 7, 1, 1]);
  });
});
