import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HeldRows } from './held-rows.js';

suite('rows that are held', () => {
  test('are those of all viewers, the newest first, until nobody asks', async () => {
    let held: readonly number[] = [];
    let now = 0;
    const hold = (numbers: Iterable<number>) => {
      held = [...numbers];
    };
    const rows = new HeldRows({ hold }, 20, () => now);
    rows.hold([1, 2, 3]);
    rows.hold([2, 9]);
    assert.deepEqual(held, [9, 2, 3, 1]);
    rows.hold(Array.from({ length: 100 }, (_, n) => 100 + n));
    assert.equal(held.length, 68);
    now = 100;
    while (held.length > 0) await delay(5);
    rows.close();
  });
});
