import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { watchByLooking } from './watch-by-looking.js';

/** A descriptor that becomes readable when told, with a clock that moves when told. */
function watched(readable: () => boolean, ready: () => void) {
  const counts = { looks: 0, calls: 0 };
  const watch = watchByLooking(
    () => {
      counts.looks++;
      return readable() ? 1 : 0;
    },
    5,
    'readable',
    (status) => {
      assert.equal(status, 0);
      counts.calls++;
      ready();
    },
  );
  /** Polls and calls in this many milliseconds. */
  const after = (milliseconds: number) => {
    const { looks, calls } = counts;
    for (let n = 0; n < milliseconds; n++) mock.timers.tick(1);
    return [counts.looks - looks, counts.calls - calls];
  };
  return { watch, after };
}

test('a descriptor is looked at every millisecond, then every 10, then every 50, and every millisecond again when there was something', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let readable = false;
    const { watch, after } = watched(
      () => readable,
      () => {},
    );
    assert.deepEqual(after(100), [100, 0]);
    assert.deepEqual(after(1900), [190, 0]);
    assert.deepEqual(after(10_000), [200, 0]);
    readable = true;
    assert.deepEqual(after(50), [1, 1]);
    assert.deepEqual(after(10), [10, 10]);
    readable = false;
    assert.deepEqual(after(50), [50, 0]);
    watch.close();
    assert.deepEqual(after(1000), [0, 0]);
  } finally {
    mock.timers.reset();
  }
});

test('a watch that is stopped, also by what it calls, looks no more until it is started', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const { watch, after } = watched(
      () => true,
      () => watch.stop(),
    );
    assert.deepEqual(after(100), [1, 1]);
    watch.start();
    watch.start();
    assert.deepEqual(after(100), [1, 1]);
    watch.close();
  } finally {
    mock.timers.reset();
  }
});
