import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PastFlow } from '../history/index.js';
import { pastLines } from './past-lives.js';

const moment = (microseconds: number) => `T${microseconds / 1e6}`;
const life = (over: Partial<PastFlow> = {}) =>
  ({
    flow: { original: { packets: 1n, bytes: 60n }, reply: { packets: 2n, bytes: 120n } },
    start: 10e6,
    end: 15e6,
    endReason: 'idle',
    quality: { start: 'event', counters: 'complete' },
    ...over,
  }) as PastFlow;
const texts = (lives: readonly PastFlow[]) => pastLines(lives, '/r', moment).map(({ text }) => text);

test('the lives of a tuple: what lives, when they began and ended, and what is left out', () => {
  assert.deepEqual(texts([]), ['the record in /r has none']);
  assert.deepEqual(
    texts([
      life({ end: undefined, endReason: undefined, netns: 'blue' }),
      life(),
      life({ quality: { start: 'listed', counters: 'none' } as PastFlow['quality'] }),
    ]),
    [
      'blue: T10 lives  1 packet 60 B out, 2 packets 120 B back',
      'T10 to T15  5s  idle  1 packet 60 B out, 2 packets 120 B back',
      'before T10 to T15  5s  idle  no counters',
    ],
  );
  const many = texts(Array.from({ length: 21 }, () => life()));
  assert.equal(many.length, 21);
  assert.match(many.at(-1)!, /^and earlier ones/);
});
