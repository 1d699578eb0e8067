// How event streams end, and what remains, on transports made of queues.

import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ClosedError, Conntrack, type FlowEvent, PlatformError, SystemError } from '../../src/index.js';
import { QueuedTransport } from '../../src/testing/queued-transport.js';
import { EINVAL, ENOBUFS } from '../../src/wire/errno.js';
import type { OpenTransport } from '../../src/wire/transport.js';
import { flowMessage } from './event-messages.js';

/** Opened transports, each with its state. */
class Transports {
  readonly listening: QueuedTransport[] = [];
  open = 0;
  readonly transport: OpenTransport = (options) => {
    this.open++;
    const queue = new QueuedTransport(1, { answer: () => [], closed: () => void this.open-- });
    if (options.groups) this.listening.push(queue);
    return queue;
  };

  /** Something happens to `count` flows. */
  tell(count: number): void {
    for (let sport = 1; sport <= count; sport++)
      for (const queue of this.listening)
        queue.arrive(flowMessage('new', { protonum: 17, src: [192, 0, 2, 1], dst: [192, 0, 2, 2], sport, dport: 53, id: sport }));
  }
}

/** Waits until all events have been read. */
const turns = async (count = 50) => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};
const sportOf = (result: IteratorResult<FlowEvent, undefined>) => result.value?.flow.original.sport;

test('what cannot be watched is told by the call, and leaves nothing open', async () => {
  const transports = new Transports();
  const transport: OpenTransport = (options) => {
    const queue = transports.transport(options);
    queue.watch = () => {
      throw new PlatformError('descriptors cannot be watched here');
    };
    return queue;
  };
  const conntrack = await Conntrack.open({ transport });
  const before = transports.open;
  assert.throws(() => conntrack.events(), PlatformError);
  assert.throws(() => conntrack.events({}, { initial: true, resync: true }), PlatformError);
  assert.throws(() => conntrack.expectations.events(), PlatformError);
  await assert.rejects(conntrack.watch({ family: 'ipv4' }), PlatformError);
  assert.equal(transports.open, before);
  await conntrack.close();
});

test('after an abort, and after the table is closed, the very next call rejects: what waits is dropped', async () => {
  for (const end of ['abort', 'close'] as const) {
    const transports = new Transports();
    const controller = new AbortController();
    const conntrack = await Conntrack.open({ transport: transports.transport });
    const events = conntrack.events({}, { signal: controller.signal });
    transports.tell(1000);
    await turns();
    assert.equal(sportOf(await events.next()), 1);
    if (end === 'abort') controller.abort(new Error('enough'));
    else await conntrack.close();
    await assert.rejects(events.next(), end === 'abort' ? /^Error: enough$/ : ClosedError);
    assert.deepEqual(await events.next(), { value: undefined, done: true });
    await conntrack.close();
    assert.equal(transports.open, 0);
  }
});

test('a failure comes behind the events that came before it', async () => {
  const transports = new Transports();
  await using conntrack = await Conntrack.open({ transport: transports.transport });
  const events = conntrack.events();
  transports.tell(2);
  transports.listening[0]!.arrive(EINVAL);
  await turns();
  assert.equal(sportOf(await events.next()), 1);
  assert.equal(sportOf(await events.next()), 2);
  await assert.rejects(events.next(), SystemError);
});

test('a stream that was ended before its list is complete says so in ready', async () => {
  const transports = new Transports();
  await using conntrack = await Conntrack.open({ transport: transports.transport });
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = conntrack.events({ family: 'ipv4' }, { initial: true, signal });
  controller.abort(new Error('enough'));
  await assert.rejects(aborted.ready, /enough/);
  const closed = conntrack.events();
  closed.close();
  await closed.ready;
});

test('any number of streams and calls has one listener on a signal, and none at the end', async () => {
  const warnings: string[] = [];
  const warned = (warning: Error) => warnings.push(warning.message);
  process.on('warning', warned);
  const transports = new Transports();
  await using conntrack = await Conntrack.open({ transport: transports.transport });
  await using other = await Conntrack.open({ transport: transports.transport });
  const controller = new AbortController();
  const { signal } = controller;
  const streams = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? conntrack : other).events({}, { signal }));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  for (const stream of streams.slice(1)) stream.close();
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  const waiting = streams[0]!.next();
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  await turns();
  process.off('warning', warned);
  assert.deepEqual(warnings, []);
  assert.ok(EventEmitter.defaultMaxListeners < streams.length, 'as many as Node.js warns of');
});

test('what onLost throws is an uncaught exception, and the stream goes on', async () => {
  const transports = new Transports();
  await using conntrack = await Conntrack.open({
    transport: (options) => {
      const queue = transports.transport(options);
      Object.defineProperty(queue, 'drops', { value: 7 });
      return queue;
    },
  });
  const uncaught: unknown[] = [];
  const events = conntrack.events({}, { onLost: () => { throw new Error('mine'); } }); // biome-ignore format: a line
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
  transports.listening[0]!.arrive(ENOBUFS);
  await turns();
  process.setUncaughtExceptionCaptureCallback(null);
  assert.deepEqual(uncaught.map(String), ['Error: mine']);
  assert.equal(events.lost, 7);
  transports.tell(1);
  assert.equal(sportOf(await events.next()), 1);
});
