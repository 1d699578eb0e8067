import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Descriptor } from './descriptor.js';

test('a descriptor is closed once, and behind the calls that use it', async () => {
  const log: string[] = [];
  const descriptor = new Descriptor({}, 7, (number) => log.push(`close ${number}`));
  let finish = () => {};
  const first = descriptor.lend(async (number) => {
    log.push(`use ${number}`);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    log.push('used');
    return 'result';
  });
  const failing = descriptor.lend(() => Promise.reject(new Error('refused')));
  descriptor.close();
  descriptor.close();
  assert.ok(descriptor.closed);
  await assert.rejects(failing, /refused/);
  assert.deepEqual(log, ['use 7']);
  finish();
  assert.equal(await first, 'result');
  assert.deepEqual(log, ['use 7', 'used', 'close 7']);
  descriptor.close();
  assert.equal(log.length, 3);
});

test('without calls that use it, it is closed at once', () => {
  const closed: number[] = [];
  const descriptor = new Descriptor({}, 8, (number) => closed.push(number));
  descriptor.close();
  descriptor.close();
  assert.deepEqual(closed, [8]);
});
