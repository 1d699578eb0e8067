import assert from 'node:assert/strict';
import { mock, suite, test } from 'node:test';
import { MemoryMeter } from '../../test/support/memory-meter.js';
import { type FlowInit, MemoryTable } from '../testing/index.js';

/** The beginning of a minute, in seconds since the epoch. */
const MINUTE = 1_760_000_040;

function flow(host: number, sport: number, dport = 53): FlowInit {
  const counters = { packets: 1n, bytes: 100n };
  return {
    protocol: 'udp',
    original: { src: `10.0.0.${host}`, dst: `192.0.2.${dport % 250}`, sport, dport, ...counters },
    reply: counters,
    status: host === 9 ? [] : ['SEEN_REPLY'],
  };
}

/** A meter whose table is listed at so many seconds of the clock. */
async function scene(flows: readonly FlowInit[], minutes = true) {
  const table = new MemoryTable({ flows });
  mock.timers.enable({ apis: ['Date'], now: MINUTE * 1000 });
  const memory = await MemoryMeter.over([table], { minutes });
  let last = 0;
  return {
    table,
    meter: memory.meter,
    async listAt(seconds: number): Promise<void> {
      mock.timers.setTime((MINUTE + seconds) * 1000);
      await memory.list((seconds - last) * 1000);
      last = seconds;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await memory[Symbol.asyncDispose]();
      mock.timers.reset();
    },
  };
}

suite('minutes of the past', () => {
  test('have those with the highest rates, and those with the most flows', async () => {
    const scan = Array.from({ length: 40 }, (_, n) => flow(9, 2000 + n, 1000 + n));
    await using one = await scene([...Array.from({ length: 8 }, (_, n) => flow(n + 1, 1000)), ...scan]);
    await one.listAt(10);
    for (const each of one.table.flows)
      if (each.original.src === '10.0.0.3')
        one.table.change(each, { original: { packets: 100n, bytes: 1_000_000n }, reply: { packets: 10n, bytes: 5000n } });
    await one.listAt(50);
    assert.equal(one.meter.minute({ at: MINUTE + 5 }), undefined, 'it goes on');
    await one.listAt(61);
    const by = one.meter.minute({ at: MINUTE + 59 })!;
    assert.deepEqual([by.minute, by.by, by.matched, by.count], [MINUTE, 'src', 48, 9]);
    assert.deepEqual([by.groups[0]!.key, by.groups[0]!.filter], ['10.0.0.3', 'src 10.0.0.3']);
    assert.ok(by.groups[0]!.average!.original > 1000);
    const flows = one.meter.minute({ at: MINUTE, sort: 'flows', limit: 1 })!;
    assert.deepEqual(
      flows.groups.map(({ key, flows, unreplied }) => [key, flows, unreplied]),
      [['10.0.0.9', 40, 40]],
    );
    const services = one.meter.minute({ at: MINUTE, by: 'service', sort: 'flows' })!;
    assert.deepEqual([services.groups[0]!.key, services.groups[0]!.flows, services.count], ['udp 53', 8, 41]);
    assert.ok(services.groups.length <= 20);
  });

  test('are known for a day, and only where there was a sample', async () => {
    await using one = await scene([flow(1, 1000)]);
    await one.listAt(60);
    await one.listAt(200);
    assert.ok(one.meter.minute({ at: MINUTE }));
    assert.equal(one.meter.minute({ at: MINUTE + 60 }), undefined);
    assert.ok(one.meter.minute({ at: MINUTE + 120 }));
    await one.listAt(24 * 3600 + 59);
    assert.ok(one.meter.minute({ at: MINUTE }));
    await one.listAt(24 * 3600 + 60);
    assert.equal(one.meter.minute({ at: MINUTE }), undefined);
    assert.ok(one.meter.minute({ at: MINUTE + 24 * 3600 }));
  });

  test('have no rates where nothing is counted', async () => {
    await using one = await scene([
      { protocol: 'udp', original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1, dport: 2 }, status: [] },
    ]);
    await one.listAt(30);
    await one.listAt(60);
    const { groups } = one.meter.minute({ at: MINUTE })!;
    assert.deepEqual(groups, [{ key: '10.0.0.1', filter: 'src 10.0.0.1', flows: 1, unreplied: 1 }]);
  });

  test('are remembered only if that is wanted', async () => {
    await using one = await scene([flow(1, 1000)], false);
    await one.listAt(60);
    assert.equal(one.meter.minute({ at: MINUTE }), undefined);
    assert.throws(() => one.meter.minute({ at: MINUTE, by: 'pair' as 'src' }), /by cannot be "pair"/);
    assert.throws(() => one.meter.minute({ at: -1 }), /at must be a number/);
  });
});
