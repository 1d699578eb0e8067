import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { age, bytes, count, gauge, type Measured, percent, rate, shortCount, sparkline } from './units.js';

/** Values and their texts, a test for each. */
function texts<T>(name: string, format: (value: T) => string, cases: readonly (readonly [T, string])[]): void {
  suite(name, () => {
    for (const [value, text] of cases) test(`${value} is ${text}`, () => assert.equal(format(value), text));
  });
}

const UNKNOWN = [
  [undefined, '·'],
  [null, '-'],
  [Number.NaN, '·'],
  [-1, '·'],
  [Number.POSITIVE_INFINITY, '·'],
] as const;

texts<Measured>('rate', (value) => rate(value, 'bytes'), [
  ...UNKNOWN,
  [0, '0'],
  [0.01, '1'],
  [480, '480'],
  [999.4, '999'],
  [999.6, '1.0k'],
  [2100, '2.1k'],
  [40_200, '40.2k'],
  [99_960, '100k'],
  [322_000, '322k'],
  [999_600, '1.00M'],
  [1_210_000, '1.21M'],
  [9_100_000, '9.10M'],
  [9_996_000, '10.0M'],
  [41_000_000, '41.0M'],
  [88_400_000, '88.4M'],
  [812_000_000, '812M'],
  [3_410_000_000, '3.41G'],
  [1e12, '1.00T'],
  [1e30, '999E'],
]);

test('a rate in bits is eight times that in bytes', () => {
  assert.equal(rate(60, 'bits'), '480');
  assert.equal(rate(151_250, 'bits'), '1.21M');
});

texts<Measured | bigint>('bytes', bytes, [
  ...UNKNOWN,
  [0, '0 B'],
  [480, '480 B'],
  [2_100_000n, '2.1 MB'],
  [41_000_000, '41 MB'],
  [999_600_000, '1.0 GB'],
  [1_500_000_000n, '1.5 GB'],
  [18_200_000_000n, '18.2 GB'],
  [2n ** 64n, '18.4 EB'],
]);

texts<Measured>('count', count, [
  ...UNKNOWN,
  [0, '0'],
  [131_204, '131,204'],
  [9_999_999_999, '9,999,999,999'],
  [12_345_678_901, '12,346M'],
]);

texts<Measured>('short count', shortCount, [
  ...UNKNOWN,
  [0, '0'],
  [412, '412'],
  [2_000, '2k'],
  [9_999, '10k'],
  [98_110, '98k'],
  [999_600, '1.0M'],
  [1_234_567, '1.2M'],
]);

texts<Measured>('age', age, [
  ...UNKNOWN,
  [0, '0s'],
  [9.9, '9s'],
  [134, '2m14s'],
  [1327, '22m07s'],
  [3720, '1h02m'],
  [86399, '23h59m'],
  [385_200, '4d11h'],
  [412 * 86400, '412d'],
  [1e12, '99999d'],
]);

suite('percent', () => {
  const cases = [
    [0, 0, 0, '0 %'],
    [1, 0, 0, '-'],
    [1, 1_000_000, 0, '<1 %'],
    [9_999, 1_000_000, 0, '<1 %'],
    [10_000, 1_000_000, 0, '1 %'],
    [999_999, 1_000_000, 0, '99 %'],
    [5, 5, 0, '100 %'],
    [131_204, 262_144, 0, '50 %'],
    [21_771, 131_204, 1, '16.6 %'],
    [1, 1_000_000, 1, '<0.1 %'],
    [999_999, 1_000_000, 1, '99.9 %'],
    [undefined, 5, 0, '·'],
    [null, 5, 0, '-'],
    [1e9, 5, 0, '999 %'],
  ] as const;
  for (const [part, whole, decimals, text] of cases)
    test(`${part} of ${whole} is ${text}`, () => assert.equal(percent(part, whole, decimals), text));
});

test('a sparkline shows the newest values, the largest as a full bar', () => {
  assert.equal(sparkline([9, 0, 1, 2, 3, 4, 5, 6, 7], 8, 'unicode'), '▁▂▃▄▅▆▇█');
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, 'ascii'), '.:-=+*#%');
  assert.equal(sparkline([0, undefined, null, 14], 6, 'unicode'), '  ▁  █');
  assert.equal(sparkline([0, 0], 2, 'unicode'), '▁▁');
  assert.equal(sparkline([5, 50], 2, 'unicode', 10), '▅█');
  assert.equal(sparkline([1], 0, 'unicode'), '');
});

test('a gauge is full only inside its brackets', () => {
  assert.equal(gauge(0.5, 10), '[####----]');
  assert.equal(gauge(7, 6), '[####]');
  assert.equal(gauge(undefined, 6), '[----]');
  assert.equal(gauge(0.5, 1), '[]');
});

test('no text is wider than its function says', () => {
  const value = fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger(), fc.constantFrom(undefined, null));
  fc.assert(
    fc.property(value, fc.maxSafeNat(), fc.nat({ max: 80 }), (measured, whole, width) => {
      assert.ok(rate(measured, 'bits').length <= 5);
      assert.ok(bytes(measured).length <= 7);
      assert.ok(count(measured).length <= 13);
      assert.ok(shortCount(measured).length <= 4);
      assert.ok(age(measured).length <= 6);
      assert.ok(percent(measured, whole).length <= 5);
      assert.ok(percent(measured, whole, 1).length <= 6);
      assert.equal(sparkline([measured, whole], width, 'ascii').length, width);
      assert.equal(gauge(measured, width + 2).length, width + 2);
    }),
    { numRuns: 5000 },
  );
});
