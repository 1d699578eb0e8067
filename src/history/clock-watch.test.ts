import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockError } from '../wire/clock-error.js';
import { ClockWatch } from './clock-watch.js';

test('a clock that is set is noticed, one that is slewed is not; sleep is no step', () => {
  let wall = 1e15;
  let awake = 5e9;
  let booted = 9e9;
  let stalls = 0;
  const pass = (microseconds: number) => {
    awake += microseconds;
    booted += microseconds;
    wall += microseconds;
  };
  const watch = new ClockWatch({
    wall: () => wall,
    // Others have the processor meanwhile, so often.
    awake: () => {
      if (stalls > 0) pass(50_000);
      stalls--;
      return awake;
    },
    booted: () => Math.floor(booted / 10_000) * 10_000,
    error: () => undefined,
  });
  const second = (set: number, slept = 0) => {
    pass(1_000_123);
    booted += slept;
    wall += slept + set;
    return watch.look();
  };
  assert.deepEqual(second(0), {});
  assert.deepEqual(second(500), {});
  assert.deepEqual(second(-80_000), {});
  for (const set of [3_600_000_000, -2_000_000, 120_001, -1e15]) {
    const { step, sleep } = second(set);
    assert.ok(Math.abs(step!.delta - set) <= 10_000);
    assert.deepEqual([step!.at, step!.after, step!.before, sleep], [wall, wall, wall - step!.delta, undefined]);
    assert.deepEqual(second(0), {});
  }
  const { step, sleep } = second(0, 7_200_000_000);
  assert.equal(step, undefined);
  assert.equal(sleep!.to, wall);
  assert.ok(Math.abs(sleep!.from - (wall - 7_201_000_123)) <= 10_000);
  stalls = 4;
  assert.deepEqual(second(0), {});
  stalls = 1000;
  assert.deepEqual(second(5_000_000), {}, 'it is looked at again later');
  stalls = 0;
  assert.ok(Math.abs(second(0).step!.delta - 5_000_000) <= 10_000);
  assert.deepEqual(second(0), {});
});

test('the clocks of the system are read together, and say nothing of themselves', () => {
  const watch = new ClockWatch();
  assert.equal(watch.look().sleep, undefined);
});

test('how well a clock is kept: its class, and when that changes', () => {
  let error: ReturnType<typeof clockError>;
  const watch = new ClockWatch({ wall: () => 0, awake: () => 0, booted: () => 0, error: () => error });
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
