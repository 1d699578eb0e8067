import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockError } from '../wire/clock-error.js';
import { ClockWatch } from './clock-watch.js';

test('a clock that is set is noticed, one that is slewed is not', () => {
  let wall = 1e15;
  let steady = 5e9;
  const watch = new ClockWatch(
    () => wall,
    () => steady,
    () => undefined,
  );
  const second = (set: number) => {
    steady += 1_000_000;
    wall += 1_000_000 + set;
    return watch.look();
  };
  assert.equal(second(0), undefined);
  assert.equal(second(500), undefined);
  assert.equal(second(-100_000), undefined);
  for (const set of [3_600_000_000, -2_000_000, 100_001, -1e15]) {
    const step = second(set);
    assert.deepEqual(step, { at: wall, before: wall - set, after: wall, delta: set });
    assert.equal(second(0), undefined);
  }
});

test('how well a clock is kept: its class, and when that changes', () => {
  let error: ReturnType<typeof clockError>;
  const watch = new ClockWatch(
    () => 0,
    () => 0,
    () => error,
  );
  assert.deepEqual([watch.check(), watch.class], [false, undefined]);
  for (const [synchronised, most, changed, name] of [
    [true, 0, true, 'synchronised within 10 ms'],
    [true, 9_999, false, 'synchronised within 10 ms'],
    [true, 10_000, true, 'synchronised within 100 ms'],
    [true, 999_999, true, 'synchronised within 1 s'],
    [true, 16_000_000, true, 'synchronised, but may be off by more than 1 s'],
    [false, 0, true, 'not synchronised'],
    [false, 16_000_000, false, 'not synchronised'],
  ] as const) {
    error = { synchronised, most };
    assert.deepEqual([watch.check(), watch.class], [changed, name]);
  }
  error = undefined;
  assert.deepEqual([watch.check(), watch.class], [true, undefined]);
});

test('the system tells of its clock, and leaves it as it is', () => {
  const [first, second] = [clockError(), clockError()];
  assert.equal(first?.synchronised, second?.synchronised);
  assert.ok(first === undefined || (first.most >= 0 && first.most <= 16_000_000), JSON.stringify(first));
});
