import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeterPace } from './meter-pace.js';

/** A pace after lists that took so many milliseconds of the processor. */
function paceAfter(costs: readonly number[], share = 0.25): MeterPace {
  let time = 0;
  const pace = new MeterPace(2000, share, () => time);
  for (const cost of costs) {
    time += 1000; // of others
    pace.begin();
    time += cost;
    pace.end();
  }
  return pace;
}

test('before the first list, the pace is what is asked for', () => {
  assert.equal(paceAfter([]).now, 2000);
  assert.equal(paceAfter([]).affordable, 0);
});

test('lists come as often as their share of a processor allows', () => {
  assert.equal(paceAfter([100]).affordable, 400);
  assert.equal(paceAfter([100]).now, 2000);
  assert.equal(paceAfter([900]).now, 3600);
  assert.equal(paceAfter([900], 1).now, 2000);
});

test('the median of the last three lists counts', () => {
  assert.equal(paceAfter([100, 9000, 200]).affordable, 800);
  assert.equal(paceAfter([9000, 9000, 100, 200, 300]).affordable, 800);
  assert.equal(paceAfter([100, 9000, 9000]).affordable, 36_000);
});

test('the interval can be changed', () => {
  const pace = paceAfter([900]);
  pace.interval = 5000;
  assert.equal(pace.now, 5000);
});
