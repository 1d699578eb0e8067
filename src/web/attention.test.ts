import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Attention } from './attention.js';

suite('the pace of lists', () => {
  test('is slow while nobody looks, and as before from the next request on', () => {
    const meter = { interval: 2000 };
    const streams = { size: 0 };
    let now = 0;
    const attention = new Attention(meter, { idleInterval: 30_000, patience: 60_000, streams, now: () => now });
    now = 59_999;
    attention.check();
    assert.equal(meter.interval, 2000);
    streams.size = 1;
    now = 200_000;
    attention.check();
    assert.equal(meter.interval, 2000);
    streams.size = 0;
    now = 260_000;
    attention.check();
    assert.equal(meter.interval, 30_000);
    attention.check();
    attention.look();
    assert.equal(meter.interval, 2000);
    now += 500;
    assert.equal(attention.watchedFor, 500);
    now += 60_000;
    attention.check();
    assert.equal(meter.interval, 30_000);
    attention.close();
  });

  test('is left as it is where it is slow anyway, or nothing else is wanted', () => {
    for (const [interval, idleInterval] of [
      [60_000, 30_000],
      [2000, undefined],
    ] as const) {
      const meter = { interval };
      let now = 0;
      const attention = new Attention(meter, { idleInterval, patience: 60_000, streams: { size: 0 }, now: () => now });
      now = 100_000;
      attention.check();
      assert.equal(meter.interval, interval);
      attention.close();
    }
  });
});
