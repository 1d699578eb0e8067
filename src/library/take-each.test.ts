import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeEach } from './take-each.js';

/** A way to interrupt, and whether anybody still listens. */
function interruption() {
  const heard = new Set<(reason: unknown) => void>();
  return {
    heard,
    whenOver: (end: (reason: unknown) => void) => {
      heard.add(end);
      return () => void heard.delete(end);
    },
    interrupt: (reason: unknown) => {
      for (const end of heard) end(reason);
    },
  };
}

const never = new Promise<never>(() => {});
const ENOUGH = new Error('enough');

/** A source of `items` that then never delivers again; it notes how it is left, and may never let go. */
function stuck(items: readonly number[], leaving: Promise<unknown> = Promise.resolve()) {
  const left: string[] = [];
  const rest = [...items];
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => (rest.length > 0 ? Promise.resolve({ value: rest.shift()!, done: false }) : never),
      return: async () => {
        left.push('return');
        await leaving;
        return { value: undefined, done: true };
      },
    }),
  };
  return { source, left };
}

test('items of an array, of a generator and of an async generator are taken in their order, each when the one before is done', async () => {
  const items = [1, 2, 3];
  const sources = [
    items,
    (function* () {
      yield* items;
    })(),
    (async function* () {
      yield* items;
    })(),
  ];
  for (const source of sources) {
    const { heard, whenOver } = interruption();
    const log: string[] = [];
    await takeEach(
      source,
      (item) => {
        log.push(`begin ${item}`);
        return item === 2 ? undefined : Promise.resolve().then(() => void log.push(`end ${item}`));
      },
      whenOver,
    );
    assert.deepEqual(log, ['begin 1', 'end 1', 'begin 2', 'begin 3', 'end 3']);
    assert.equal(heard.size, 0);
  }
});

test('a source that never delivers does not keep the caller, nor does one that never lets go', async () => {
  for (const leaving of [Promise.resolve(), never]) {
    const { heard, whenOver, interrupt } = interruption();
    const { source, left } = stuck([1, 2], leaving);
    const taken: number[] = [];
    const taking = takeEach(source, (item) => void taken.push(item), whenOver);
    setImmediate(() => interrupt(ENOUGH));
    await assert.rejects(taking, ENOUGH);
    assert.deepEqual([taken, left, heard.size], [[1, 2], ['return'], 0]);
  }
});

test('an interruption while an item is dealt with takes effect behind it', async () => {
  const { whenOver, interrupt } = interruption();
  const { source, left } = stuck([1, 2, 3]);
  const taken: number[] = [];
  const taking = takeEach(
    source,
    async (item) => {
      interrupt(ENOUGH);
      await Promise.resolve();
      taken.push(item);
    },
    whenOver,
  );
  await assert.rejects(taking, ENOUGH);
  assert.deepEqual([taken, left], [[1], ['return']]);
});

test('a source that fails when it is too late makes no unhandled rejection', async (t) => {
  const unhandled = t.mock.fn();
  process.once('unhandledRejection', unhandled);
  t.after(() => process.off('unhandledRejection', unhandled));
  const { whenOver, interrupt } = interruption();
  async function* source() {
    yield 1;
    throw new Error('aborted too');
  }
  await assert.rejects(
    takeEach(source(), async () => interrupt(ENOUGH), whenOver),
    ENOUGH,
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(unhandled.mock.callCount(), 0);
});

test('when taking fails, the source is left and waited for, unless that is interrupted', async () => {
  const failure = new Error('refused');
  const fail = () => Promise.reject(failure);
  let letGo = () => {};
  const patient = stuck([1], new Promise<void>((resolve) => (letGo = resolve)));
  let settled = false;
  const taking = takeEach(patient.source, fail, interruption().whenOver).finally(() => {
    settled = true;
  });
  taking.catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([patient.left, settled], [['return'], false]);
  letGo();
  await assert.rejects(taking, failure);

  const { whenOver, interrupt } = interruption();
  const obstinate = takeEach(stuck([1], never).source, fail, whenOver);
  setImmediate(() => interrupt(ENOUGH));
  await assert.rejects(obstinate, failure);
});

test('a source that fails is not left, as it has ended', async () => {
  const failure = new Error('disk');
  let left = 0;
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(failure),
      return: async () => {
        left++;
        return { value: undefined, done: true };
      },
    }),
  };
  await assert.rejects(
    takeEach(source, () => undefined, interruption().whenOver),
    failure,
  );
  assert.equal(left, 0);
});
