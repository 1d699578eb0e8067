import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Delivery } from './delivery.js';
import { RecordBatch } from './record-batch.js';
import { WriterLink, type WriterWorker } from './writer-link.js';
import type { WriterNews } from './writer-thread.js';

function linked() {
  const thread = Object.assign(new EventEmitter(), { threadId: 1, postMessage: () => {}, terminate: async () => 0 });
  const told: string[] = [];
  const link = new WriterLink(thread as unknown as WriterWorker, {
    event: ({ type }) => told.push(type),
    failed: (error) => told.push((error as Error).message),
    full: () => told.push('full'),
    drained: () => told.push('drained'),
  });
  const tell = (news: WriterNews) => thread.emit('message', news);
  const written = (asked: number) => tell({ what: 'written', rows: asked, asked, sequence: 1, seconds: 0.5 });
  return { link, told, tell, written };
}

const delivery = (count = 0): Delivery => ({ batch: { ...new RecordBatch().take(), count }, gaps: [], now: 1 });

test('what is waited for is what was delivered before, and not what was on its way', async () => {
  const { link, written } = linked();
  link.deliver(delivery());
  link.deliver(delivery());
  let isWritten = false;
  const done = link.written().then(() => (isWritten = true));
  link.deliver(delivery());
  written(0);
  await turn();
  assert.equal(isWritten, false, 'the one before it is written');
  written(0);
  await done;
  assert.equal(isWritten, true);
  assert.deepEqual(link.commits, { count: 2, seconds: 1, most: 0.5 });
});

test('too many rows that wait are told once, and again when they have become few', () => {
  const { link, told, tell, written } = linked();
  for (let n = 0; n < 6; n++) link.deliver(delivery(100_000));
  assert.deepEqual([told, link.isFull, link.waiting], [['full'], true, 600_000]);
  tell({ what: 'trouble', reason: 'disk-full', message: 'no room' });
  assert.equal(link.trouble, 'disk-full');
  tell({ what: 'well' });
  for (let n = 0; n < 6; n++) written(100_000);
  assert.deepEqual(
    [told, link.isFull, link.waiting, link.trouble],
    [['full', 'trouble', 'well', 'drained'], false, 0, undefined],
  );
});

test('a thread that fails is told with what it said', async () => {
  const { link, told, tell } = linked();
  tell({ what: 'failed', code: 'DAMAGED', message: 'it is broken', hint: 'mend it' });
  await assert.rejects(link.opened(), { code: 'DAMAGED', message: 'cannot write the record: it is broken', hint: 'mend it' });
  assert.deepEqual(told, ['cannot write the record: it is broken']);
});
