// Rates: what the meter makes of readings at certain times.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MemoryMeter } from '../../test/support/memory-meter.js';
import { type FlowInit, MemoryTable } from '../testing/index.js';
import type { MeteredFlow } from './index.js';

const FLOW = {
  protocol: 'udp',
  original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1000, dport: 53 },
  timeout: 1e6,
} as const satisfies FlowInit;

/** The same with counters. */
const counting = (original: number, reply = 0): FlowInit => ({
  ...FLOW,
  original: { ...FLOW.original, packets: BigInt(original > 0 ? 1 : 0), bytes: BigInt(original) },
  reply: { packets: 0n, bytes: BigInt(reply) },
});

class Scene implements AsyncDisposable {
  readonly table: MemoryTable;
  readonly meter: MemoryMeter;

  private constructor(table: MemoryTable, meter: MemoryMeter) {
    this.table = table;
    this.meter = meter;
  }

  static async of(flows: readonly FlowInit[], timestamps = false): Promise<Scene> {
    const table = new MemoryTable({ flows, timestamps, now: new Date() });
    return new Scene(table, await MemoryMeter.over([table]));
  }

  /** After so many milliseconds the flow is read, with these bytes; a packet is 100 of them. */
  async read(milliseconds: number, original: number, reply = 0): Promise<MeteredFlow> {
    this.table.change(FLOW, {
      original: { bytes: BigInt(original), packets: BigInt(Math.floor(original / 100)) },
      reply: { bytes: BigInt(reply), packets: BigInt(Math.floor(reply / 100)) },
    });
    await this.meter.list(milliseconds);
    return this.flow();
  }

  async flow(): Promise<MeteredFlow> {
    return (await this.meter.meter.flows()).flows[0]!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.meter[Symbol.asyncDispose]();
  }
}

/** Rates are told with one decimal. */
function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) <= 0.05 + 1e-5 * Math.abs(expected),
    `${actual}, not ${expected}`,
  );
}

suite('rates', () => {
  test('they are not known before the second reading, and the first sets the average', async () => {
    await using scene = await Scene.of([counting(5000, 100)]);
    const first = await scene.flow();
    assert.deepEqual([first.rate, first.average, first.packetRate, first.counters], [undefined, undefined, undefined, 'kernel']);
    assert.equal(first.flow.original.bytes, 5000n);
    const second = await scene.read(2000, 9000, 300);
    assert.deepEqual(second.rate, { original: 2000, reply: 100 });
    assert.deepEqual(second.average, { original: 2000, reply: 100 });
    near(second.packetRate, (90 + 3 - 1) / 2);
  });

  test('the average follows within ten seconds, however uneven the readings', async () => {
    await using scene = await Scene.of([counting(0)]);
    let bytes = 0;
    let average: number | undefined;
    for (const [milliseconds, more] of [
      [2000, 2000],
      [500, 50_000],
      [7300, 0],
      [2001, 4],
      [60_000, 600_000],
      [1000, 0],
    ] as const) {
      bytes += more;
      const rate = more / (milliseconds / 1000);
      average = average === undefined ? rate : average + (1 - Math.exp(-milliseconds / 10_000)) * (rate - average);
      const flow = await scene.read(milliseconds, bytes);
      near(flow.rate?.original, rate);
      near(flow.average?.original, average);
    }
  });

  test('ten seconds take the average two thirds of the way, in one step or in ten', async () => {
    for (const steps of [1, 10]) {
      await using scene = await Scene.of([counting(0)]);
      await scene.read(1000, 0);
      let bytes = 0;
      for (let n = 0; n < steps; n++) {
        bytes += 10_000 / steps;
        await scene.read(10_000 / steps, bytes);
      }
      near((await scene.flow()).average?.original, 1000 * (1 - Math.exp(-1)));
    }
  });

  test('the average of a flow that has begun rises from 0', async () => {
    await using scene = await Scene.of([]);
    scene.table.add(FLOW);
    await scene.meter.hear();
    const first = await scene.read(4000, 2000);
    assert.deepEqual(first.rate, { original: 500, reply: 0 });
    near(first.average?.original, 500 * (1 - Math.exp(-0.4)));
  });

  test('a flow that a list has found has no rate before the next one', async () => {
    await using scene = await Scene.of([]);
    scene.table.loseEvents(1);
    scene.table.add(counting(700));
    await scene.meter.list();
    const found = await scene.flow();
    assert.deepEqual([found.rate, found.counters], [undefined, 'kernel']);
    assert.deepEqual((await scene.read(1000, 1000)).rate, { original: 300, reply: 0 });
    assert.equal(scene.meter.meter.sample.counted.bytes.original, 1000);
  });

  test('a known start changes nothing in the time between two readings', async () => {
    await using scene = await Scene.of([counting(700)], true);
    assert.deepEqual((await scene.read(500, 1700)).rate, { original: 2000, reply: 0 });
  });

  test('readings that follow each other at once are one', async () => {
    await using scene = await Scene.of([counting(700)]);
    assert.equal((await scene.read(5, 900)).rate, undefined);
    assert.deepEqual((await scene.read(1995, 2700)).rate, { original: 1000, reply: 0 });
    const soon = await scene.read(150, 5000);
    assert.deepEqual(soon.rate, { original: 1000, reply: 0 });
    assert.equal(soon.flow.original.bytes, 2700n);
    assert.deepEqual((await scene.read(1850, 6700)).rate, { original: 2000, reply: 0 });
    assert.equal(scene.meter.meter.sample.counted.bytes.original, 6000);
  });

  test('counters that were set to 0 count from there', async () => {
    await using scene = await Scene.of([counting(10_000)]);
    await scene.read(2000, 12_000);
    assert.deepEqual((await scene.read(2000, 500)).rate, { original: 250, reply: 0 });
    assert.equal(scene.meter.meter.sample.counted.resets, 1);
    assert.equal(scene.meter.meter.sample.counted.bytes.original, 2500);
  });

  test('bytes count for groups also where the packets stand still: after somebody has set counters to 0', async () => {
    await using scene = await Scene.of([counting(5000)]);
    const { meter } = scene.meter;
    await meter.groups({ by: 'src' });
    // 20 bytes since, as the kernel has it, and no whole packet.
    await scene.read(2000, 20);
    const { groups } = await meter.groups({ by: 'src' });
    assert.deepEqual(groups[0]!.counted!.bytes, { original: 20, reply: 0 });
    assert.deepEqual(groups[0]!.counted!.packets, { original: 0, reply: 0 });
    assert.deepEqual(meter.sample.counted.bytes, { original: 20, reply: 0 });
    await scene.read(2000, 90);
    assert.deepEqual((await meter.groups({ by: 'src' })).groups[0]!.counted!.bytes, { original: 90, reply: 0 });
  });

  test('a flow whose counters stand still is idle, and its average fades', async () => {
    await using scene = await Scene.of([counting(0)]);
    await scene.read(2000, 4000);
    assert.equal((await scene.flow()).idle, 0);
    for (let n = 1; n <= 5; n++) {
      const flow = await scene.read(2000, 4000);
      assert.equal(flow.idle, 2 * n);
      assert.deepEqual(flow.rate, { original: 0, reply: 0 });
      near(flow.average?.original, 2000 * Math.exp(-n / 5));
      assert.equal(flow.counters, 'kernel');
    }
  });

  test('an offloaded flow whose counters stand still for three lists has no rate', async () => {
    await using scene = await Scene.of([{ ...counting(0), status: ['OFFLOAD'] }]);
    await scene.read(2000, 4000);
    for (let n = 1; n <= 2; n++) assert.equal((await scene.read(2000, 4000)).counters, 'kernel');
    const still = await scene.read(2000, 4000);
    assert.deepEqual([still.counters, still.rate, still.average], ['offloaded', undefined, undefined]);
    assert.equal(still.flow.original.bytes, 4000n);
    assert.ok(scene.meter.meter.status.notices.some(({ code }) => code === 'OFFLOAD_WITHOUT_COUNTERS'));
    const again = await scene.read(2000, 6000);
    assert.deepEqual([again.counters, again.rate], ['kernel', { original: 1000, reply: 0 }]);
    assert.ok(!scene.meter.meter.status.notices.some(({ code }) => code === 'OFFLOAD_WITHOUT_COUNTERS'));
  });

  test('without accounting nothing is said, and never 0', async () => {
    await using scene = await Scene.of([FLOW]);
    scene.table.add({ ...FLOW, original: { ...FLOW.original, sport: 7 } });
    for (let n = 0; n < 3; n++) {
      await scene.meter.list();
      const { flows, totals } = await scene.meter.meter.flows();
      assert.equal(flows.length, 2);
      for (const { rate, average, packetRate, idle, counters, flow } of flows)
        assert.deepEqual(
          [rate, average, packetRate, idle, counters, flow.original.bytes],
          [undefined, undefined, undefined, undefined, 'none', undefined],
        );
      assert.deepEqual([totals.bytes, totals.packets, totals.rate], [undefined, undefined, undefined]);
      const { groups } = await scene.meter.meter.groups({ by: 'src' });
      assert.deepEqual([groups[0]!.flows, groups[0]!.bytes, groups[0]!.rate], [2, undefined, undefined]);
    }
  });

  test('the counters that an event leaves out stay', async () => {
    await using scene = await Scene.of([counting(700)]);
    await scene.read(2000, 900, 50);
    scene.table.change(FLOW, { mark: 5 });
    await scene.meter.hear();
    scene.meter.pass();
    const { flow, rate } = await scene.flow();
    assert.deepEqual([flow.mark, flow.original.bytes, flow.reply.bytes, rate], [5, 900n, 50n, { original: 100, reply: 25 }]);
    for (const filter of ['bytes > 940 and mark 5', 'original bytes 900'])
      assert.equal((await scene.meter.meter.flows({ filter })).matched, 1, filter);
    assert.equal((await scene.meter.meter.flows({ filter: 'mark 0' })).matched, 0);
  });

  test('the meter keeps the last 49 days apart', async () => {
    await using scene = await Scene.of([counting(0)]);
    scene.meter.pass(2 ** 32 - 3000);
    await scene.read(0, 1000);
    const flow = await scene.read(5000, 11_000);
    assert.deepEqual([flow.rate, flow.idle], [{ original: 2000, reply: 0 }, 0]);
    assert.equal((await scene.read(4000, 11_000)).idle, 4);
    assert.deepEqual((await scene.read(4000, 15_000)).rate, { original: 1000, reply: 0 });
  });
});

suite('ages', () => {
  test('a known start is told exactly, and what was there before is at least as old as that', async () => {
    const now = BigInt(Date.now()) * 1_000_000n;
    const start = now - 3_600_000_000_000n;
    const later = { ...FLOW, original: { ...FLOW.original, sport: 7 } };
    await using scene = await Scene.of([{ ...FLOW, timestamp: { start } }, later]);
    scene.table.add({ ...FLOW, original: { ...FLOW.original, sport: 8 } });
    await scene.meter.hear();
    scene.meter.pass();
    const { flows } = await scene.meter.meter.flows({ sort: 'age' });
    const [old, before, young] = [1000, 7, 8].map((port) => flows.find(({ flow }) => flow.original.sport === port)!);
    assert.ok(Math.abs(old!.age - 3600) < 5 && old!.ageAtLeast === undefined, `${old!.age}`);
    assert.ok(before!.age < 5 && before!.ageAtLeast === true);
    assert.ok(young!.age < 5 && young!.ageAtLeast === undefined);
    assert.equal(flows[0], old);
  });

  test('a flow of which an update told first has its age when a list says it', async () => {
    const start = BigInt(Date.now() - 7_200_000) * 1_000_000n;
    await using scene = await Scene.of([]);
    scene.table.loseEvents(1);
    scene.table.add({ ...FLOW, timestamp: { start } });
    scene.table.change(FLOW, { mark: 1 });
    await scene.meter.list();
    const { age, ageAtLeast } = await scene.flow();
    assert.ok(Math.abs(age - 7200) < 5, `${age}`);
    assert.equal(ageAtLeast, undefined);
  });
});
