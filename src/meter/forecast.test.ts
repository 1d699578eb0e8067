import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Forecast } from './forecast.js';

const LIMIT = 100_000;

/** What is said after entries were seen every `every` seconds for `seconds`. */
function after(seconds: number, entriesAt: (second: number) => number, every = 2, limit = LIMIT): number | undefined {
  const forecast = new Forecast();
  for (let second = 0; second < seconds; second += every) forecast.add(1000 + second, entriesAt(second));
  return forecast.full(limit);
}

suite('forecast', () => {
  test('steady growth tells when the table is full', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 500 }),
        fc.integer({ min: 60, max: 900 }),
        fc.integer({ min: 1, max: 9 }),
        (slope, seconds, every) => {
          const full = after(seconds, (second) => 1000 + slope * second, every);
          const now = 1000 + slope * seconds;
          const expected = (LIMIT - now) / slope;
          if (expected < -every) assert.equal(full, 0);
          // What is left counts from the last look at the table, which is at most so long ago.
          else
            assert.ok(full !== undefined && Math.abs(full - Math.max(0, expected)) <= every + 0.001, `${full}, not ${expected}`);
        },
      ),
    );
  });

  test('growth that becomes slower is told as it is now', () => {
    const full = after(700, (second) => (second < 300 ? 200 * second : 60_000 + 20 * (second - 300)));
    assert.ok(full !== undefined && Math.abs(full - (LIMIT - 68_000) / 20) < 30, `${full}`);
  });

  test('less than a minute tells nothing', () => {
    assert.equal(
      after(49, (second) => 100 * second),
      undefined,
    );
    assert.notEqual(
      after(60, (second) => 100 * second),
      undefined,
    );
  });

  for (const [what, entriesAt] of [
    ['a table that stays as it is', () => 5000],
    ['a table that shrinks', (second: number) => 50_000 - 50 * second],
    ['a burst', (second: number) => (second > 250 ? 40_000 : 5000)],
    ['a burst that has gone again', (second: number) => (second > 100 && second < 150 ? 40_000 : 5000)],
    ['a table that goes up and down', (second: number) => 20_000 + 10_000 * Math.sin(second / 8)],
    ['growth of which nothing comes in six hours', (second: number) => 1000 + second / 4],
  ] as const)
    test(`${what} is no growth`, () => assert.equal(after(300, entriesAt), undefined));

  test('noise around steady growth does not hide it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -300, max: 300 }), { minLength: 150, maxLength: 150 }), (noise) => {
        const full = after(300, (second) => 1000 + 50 * second + noise[second >> 1]!);
        assert.ok(full !== undefined && Math.abs(full - 1680) < 400, `${full}`);
      }),
    );
  });

  test('a table that is over its limit is full now', () => {
    assert.equal(
      after(300, (second) => 1000 + 50 * second, 2, 2000),
      0,
    );
  });
});
