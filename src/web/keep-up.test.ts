import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebTester } from '../../test/support/web-tester.js';
import { ConntrackError } from '../errors.js';
import { Conntrack } from '../library/index.js';
import { MemoryTable } from '../testing/index.js';
import { keepUp } from './keep-up.js';

const flow = (n: number) => ({
  protocol: 'udp' as const,
  original: { src: `10.0.0.${n}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
});

class Unreadable extends ConntrackError {
  readonly code = 'NAMESPACE';
}

suite('network namespaces that come and go', () => {
  test('are followed, and told when they cannot be read', async () => {
    await using tester = await WebTester.start({ tables: [new MemoryTable({ flows: [flow(1)] })] });
    const { meter } = tester.memory;
    const blue = new MemoryTable({ flows: [flow(2), flow(3)] });
    const end = new AbortController();
    const failed: string[] = [];
    let looks = 0;
    let closed = false;
    const lookAgain = async () => {
      looks++;
      if (looks === 1) {
        const conntrack = await Conntrack.open({ transport: blue.open });
        tester.conntracks.set('blue', conntrack);
        return { came: [['blue', conntrack] as const], gone: [], failures: [{ name: 'red', error: new Unreadable('no') }] };
      }
      if (looks === 2) throw new Unreadable('cannot look');
      if (looks === 3) {
        const conntrack = tester.conntracks.get('blue')!;
        tester.conntracks.delete('blue');
        const close = async () => {
          await conntrack.close();
          closed = true;
        };
        return { came: [], gone: [{ name: 'blue', close }], failures: [] };
      }
      return { came: [], gone: [], failures: [] };
    };
    const gate: { open?: () => void } = {};
    const gated = async () => {
      await new Promise<void>((resolve) => {
        gate.open = resolve;
      });
      return lookAgain();
    };
    const step = async (count: number) => {
      while (gate.open === undefined) await delay(1);
      const { open } = gate;
      delete gate.open;
      open();
      while (looks < count || gate.open === undefined) await delay(1);
    };
    const kept = keepUp(meter, gated, {
      every: 1,
      failed: (name, { message }) => failed.push(`${name} ${message}`),
      signal: end.signal,
    });
    await step(1);
    assert.deepEqual(failed, ['red no']);
    const { matched } = (await tester.ask('/api/v1/flows?netns=blue')).json;
    assert.equal(matched, 2);
    await step(2);
    assert.deepEqual(failed, ['red no', 'undefined cannot look']);
    await step(3);
    assert.ok(closed);
    assert.equal(await tester.refusal('/api/v1/flows?netns=blue'), '404 NOT_FOUND');
    end.abort();
    gate.open!();
    await kept;
  });

  test('are no longer looked for when the meter has ended', async () => {
    await using tester = await WebTester.start();
    const end = new AbortController();
    end.abort();
    await keepUp(tester.memory.meter, () => Promise.reject(new Error('asked')), {
      every: 1,
      failed: () => {},
      signal: end.signal,
    });
  });
});
