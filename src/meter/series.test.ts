import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SERIES, Series, type SeriesValues } from './series.js';

const values = (value: number) => Object.fromEntries(SERIES.map((name) => [name, value])) as SeriesValues;
const START = 1_790_000_000;

function seriesOf(samples: readonly (readonly [second: number, value: number])[]): Series {
  const series = new Series();
  for (const [second, value] of samples) series.add(START + second, values(value));
  return series;
}

suite('series', () => {
  test('without samples nothing is known', () => {
    const { step, entries } = new Series().last(60);
    assert.equal(step, 1);
    assert.equal(entries.length, 0);
  });

  test('a step is as fine as the time that is asked for allows', () => {
    const series = seriesOf([[0, 1]]);
    for (const [seconds, step, length] of [
      [1, 1, 1],
      [600, 1, 600],
      [601, 10, 61],
      [7200, 10, 720],
      [7201, 60, 121],
      [86_400, 60, 1440],
      [1e9, 60, 1440],
    ] as const) {
      const part = series.last(seconds);
      assert.deepEqual([part.step, part.entries.length], [step, length]);
      assert.equal(part.end, Math.floor(START / step) * step);
    }
  });

  test('a step without a sample has the values of the next one', () => {
    assert.deepEqual([...seriesOf([[0, 1], [3, 7], [4, 2]]).last(6).begun], [Number.NaN, 1, 7, 7, 7, 2]); // biome-ignore format: short
  });

  test('a step with several samples has their mean', () => {
    assert.deepEqual([...seriesOf([[0, 1], [0.3, 2], [0.9, 6], [1, 4]]).last(2).rateReply], [3, 4]); // biome-ignore format: short
    assert.deepEqual([...seriesOf([[0, Number.NaN], [0.5, 3]]).last(1).rateReply], [3]); // biome-ignore format: short
  });

  test('a gap longer than what is kept leaves nothing of before', () => {
    const { entries } = seriesOf([[0, 1], [700, 2]]).last(600); // biome-ignore format: short
    assert.deepEqual(new Set(entries), new Set([2]));
  });

  test('a clock that is set back loses no sample', () => {
    const series = seriesOf([[100, 1], [40, 5], [41, 6]]); // biome-ignore format: short
    assert.deepEqual([...series.last(2).entries], [5, 6]);
    assert.equal(series.last(2).end, START + 41);
  });

  test('each column has what a list of all samples has', () => {
    const gap = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 400 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(gap, fc.nat(1000)), { minLength: 1, maxLength: 60 }), (gaps) => {
        let at = 0;
        const samples = gaps.map(([seconds, value]) => {
          at += seconds;
          return [at, value] as const;
        });
        const { entries, dropped, end } = seriesOf(samples).last(600);
        const expected = Array.from({ length: 600 }, (_, n) => {
          const second = end - START - 599 + n;
          if (second < samples[0]![0]) return Number.NaN;
          return samples.find(([at]) => at >= second)![1];
        });
        assert.deepEqual([...entries], expected);
        assert.deepEqual(dropped, entries);
      }),
    );
  });
});
