import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MemoryMeter } from '../../test/support/memory-meter.js';
import { MemoryTable } from '../testing/index.js';
import { FlowMeter } from './flow-meter.js';
import type { FlowStore } from './flow-store.js';

/** How often a store has been gone through. */
function passesOf(store: FlowStore): () => number {
  let passes = 0;
  const each = store.each.bind(store);
  store.each = (...args) => {
    passes++;
    return each(...args);
  };
  return () => passes;
}

const flow = (n: number) => ({
  protocol: 'udp' as const,
  original: { src: `10.0.0.${n}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
});

suite('questions to a meter', () => {
  test('are worked out once, however many ask', async () => {
    await using scene = await MemoryMeter.over([new MemoryTable({ flows: [1, 2, 3].map(flow) })]);
    const passes = passesOf(FlowMeter.storeOf(scene.meter));
    const ask = () => scene.meter.flows({ filter: 'udp', sort: 'src' });
    const answers = await Promise.all([ask(), ask(), ask()]);
    assert.deepEqual(answers[1], answers[0]);
    assert.equal(passes(), 1);
  });

  test('are worked out with the next sample before it is out, as long as somebody asks', async () => {
    const table = new MemoryTable({ flows: [1, 2, 3].map(flow) });
    await using scene = await MemoryMeter.over([table]);
    const passes = passesOf(FlowMeter.storeOf(scene.meter));
    await scene.meter.flows({ filter: 'udp', sort: 'src' });
    table.add(flow(4));
    await scene.list();
    assert.equal(passes(), 2);
    const answer = await scene.meter.flows({ filter: 'udp', sort: 'src' });
    assert.deepEqual([answer.sample, answer.matched, passes()], [2, 4, 2]);
    await scene.list(); // somebody has asked since the second
    assert.equal(passes(), 3);
    await scene.list();
    assert.equal(passes(), 3);
  });

  test('are answered as of the last sample until the next is out', async () => {
    const table = new MemoryTable({ flows: [1, 2, 3].map(flow) });
    await using scene = await MemoryMeter.over([table]);
    const { meter } = scene;
    await meter.flows();
    table.add(flow(4));
    await scene.hear();
    const store = FlowMeter.storeOf(meter);
    const each = store.each.bind(store);
    let meanwhile: Promise<readonly [number, number]> | undefined;
    store.each = async (visit, slice) => {
      meanwhile ??= meter.flows().then(({ sample, matched }) => [sample, matched]);
      await meanwhile;
      return each(visit, slice);
    };
    await FlowMeter.sweep(meter);
    assert.deepEqual(await meanwhile, [1, 3]);
    const { sample, matched } = await meter.flows();
    assert.deepEqual([sample, matched], [2, 4]);
  });
});
