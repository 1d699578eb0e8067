// The event source on a transport made of an array: the order of losses and events, the count of drops, pauses, floods, failures.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DecodeError, SystemError } from '../../src/errors.js';
import { EventSource, type EventVisitor } from '../../src/library/events/event-source.js';
import { Datagrams } from '../../src/wire/datagrams.js';
import { EAGAIN, EINVAL, ENOBUFS } from '../../src/wire/errno.js';
import type { Transport } from '../../src/wire/transport.js';
import { flowMessage } from './event-messages.js';

/** A number is an errno; the drop counter is read from `drops`. */
class ArrayTransport implements Transport {
  readonly portId = 1;
  readonly receiveBuffer = 212992;
  readonly queue: (Uint8Array | number)[] = [];
  drops = 0;
  running = false;
  closed = false;
  onReceive: (() => void) | undefined;
  ready: (status: number) => void = () => {};

  createDatagrams = (slots: number, slotSize: number) => new Datagrams(slots, slotSize);
  send(): void {}
  async sendAsync(): Promise<void> {}
  receiveAsync = async (into: Datagrams) => this.receive(into);
  receive(into: Datagrams): number {
    this.onReceive?.();
    const first = this.queue[0];
    if (first === undefined) return -EAGAIN;
    if (typeof first === 'number') {
      this.queue.shift();
      return -first;
    }
    let count = 0;
    for (let next = this.queue[0]; next instanceof Uint8Array && count < into.slots; next = this.queue[0]) {
      into.put(count++, next);
      this.queue.shift();
    }
    return count;
  }
  watch(ready: (status: number) => void) {
    this.ready = ready;
    this.running = true;
    const set = (running: boolean) => () => {
      this.running = running;
    };
    return { start: set(true), stop: set(false), unref: () => {}, ref: () => {}, close: set(false) };
  }
  close(): void {
    this.closed = true;
  }
}

const event = (id: number) =>
  flowMessage('new', { protonum: 17, src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2, id });

const busy = (milliseconds: number) => {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
};

function open(more: Partial<EventVisitor> = {}) {
  const transport = new ArrayTransport();
  const source = EventSource.open({ groups: 7, transport: () => transport });
  const log: string[] = [];
  let failure: unknown;
  source.start({
    message: () => log.push('event'),
    overrun: () => log.push('overrun'),
    lost: ({ events }) => log.push(`lost ${events}`),
    idle: () => log.push('idle'),
    failed: (error) => {
      failure = error;
      log.push('failed');
    },
    ...more,
  });
  return { transport, source, log, failure: () => failure };
}

test('a loss is noticed at once and told behind the events that were waiting', () => {
  const { transport, log, source } = open();
  transport.queue.push(ENOBUFS, event(1), event(2));
  transport.drops = 834;
  // As the watch does while something waits: on a busy machine one turn may end before the last event.
  for (let turns = 0; turns < 10 && log.at(-1) !== 'idle'; turns++) transport.ready(-9);
  assert.deepEqual(log, ['overrun', 'event', 'event', 'lost 834', 'idle']);
  assert.ok(transport.running, 'an error has stopped the watch: it was begun again');
  source.close();
});

test('a turn that ends with the last event is followed by another, which finds nothing and says so', async () => {
  const { transport, source, log } = open({
    message: () => {
      log.push('event');
      busy(5);
    },
  });
  for (const read of [() => transport.ready(0), () => void source.drainFor(1)]) {
    log.length = 0;
    transport.queue.push(event(1));
    read();
    assert.deepEqual(log, ['event']);
    // The watch does not call: nothing is there to read.
    for (let tries = 0; tries < 1000 && log.length < 2; tries++) await delay(5);
    assert.deepEqual(log, ['event', 'idle']);
  }
  transport.queue.push(event(2));
  transport.ready(0);
  source.pause();
  await delay(20);
  assert.equal(log.at(-1), 'event');
  source.resume();
  await delay(0);
  for (let tries = 0; tries < 1000 && log.at(-1) !== 'idle'; tries++) await delay(5);
  assert.equal(log.at(-1), 'idle');
  source.close();
});

test('each loss is told with its own number, and none twice', () => {
  const { transport, log, source } = open();
  for (const drops of [10, 15, 15, 4000000000, 5]) {
    transport.queue.push(ENOBUFS, event(1));
    transport.drops = drops;
    source.drain();
  }
  assert.deepEqual(
    log.filter((line) => line.startsWith('lost')),
    ['lost 10', 'lost 5', 'lost 3999999985', `lost ${(5 - 4000000000) >>> 0}`],
  );
  transport.drops = 9;
  source.reportLoss();
  source.reportLoss();
  assert.equal(log.filter((line) => line.startsWith('lost')).at(-1), 'lost 4');
  source.close();
});

test('a pause stops reading within a batch, resume goes on', () => {
  let pause = true;
  const { transport, source, log } = open({
    beginBatch: () => {
      if (pause) source.pause();
    },
  });
  transport.queue.push(...Array.from({ length: 200 }, (_, n) => event(n)));
  assert.equal(source.drain(), false);
  assert.equal(log.length, 64);
  assert.equal(transport.running, false);
  assert.equal(source.drain(), false);
  assert.equal(log.length, 64);
  pause = false;
  source.resume();
  assert.ok(transport.running);
  assert.equal(source.drain(), true);
  assert.equal(log.filter((line) => line === 'event').length, 200);
  source.close();
});

test('a loss is told behind a pause, though nothing comes any more', async () => {
  const { transport, source, log } = open({ message: () => source.pause() });
  transport.queue.push(ENOBUFS, event(1));
  transport.drops = 9;
  source.drain();
  assert.deepEqual(log, ['overrun']);
  source.resume();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(log, ['overrun', 'lost 9', 'idle']);
  source.close();
});

test('a flood does not keep the caller: what a buffer can hold is read, and no more', () => {
  const { transport, source, log } = open();
  transport.onReceive = () => transport.queue.push(event(1), event(2));
  assert.equal(source.drain(), true);
  assert.ok(log.length > 100 && !log.includes('idle'));
  transport.onReceive = undefined;
  source.close();
});

test('a flood leaves turns to others: when something waits, before a list, and with a limit', async () => {
  const { transport, source, log } = open({
    message: () => {
      log.push('event');
      if (log.length % 64 === 0) busy(5);
    },
  });
  const flood = () => {
    log.length = 0;
    transport.queue.splice(0, transport.queue.length, ...Array.from({ length: 640 }, (_, n) => event(n)));
  };
  flood();
  transport.ready(0);
  assert.ok(log.length < 640, `${log.length} in one turn`);
  assert.ok(transport.running, 'what is left calls again');
  flood();
  assert.equal(source.drainFor(4), false);
  assert.ok(log.length < 640, `${log.length} in one turn`);
  assert.equal(source.drainFor(60_000), true);
  assert.equal(log.filter((line) => line === 'event').length, 640);
  flood();
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  await source.drainInTurns();
  clearInterval(other);
  assert.equal(log.filter((line) => line === 'event').length, 640);
  assert.ok(turns > 0, 'others had none');
  source.close();
  assert.equal(source.drainFor(4), false);
  await source.drainInTurns();
});

test('a failure ends the source once, and is told', () => {
  for (const [arrival, kind] of [
    [EINVAL, SystemError],
    [Uint8Array.from({ length: 20 }, () => 1), DecodeError],
  ] as const) {
    const { transport, source, log, failure } = open();
    transport.queue.push(event(1), arrival, event(2));
    assert.equal(source.drain(), false);
    assert.deepEqual(log, ['event', 'failed']);
    assert.ok(failure() instanceof kind, String(failure()));
    assert.ok(transport.closed);
    source.close();
    assert.equal(source.drain(), false);
  }
});

test('what a visitor throws ends the source, and a visitor may close it', () => {
  const thrown = open({
    message: () => {
      throw new Error('disk full');
    },
  });
  thrown.transport.queue.push(event(1));
  thrown.source.drain();
  assert.match(String(thrown.failure()), /disk full/);
  let count = 0;
  const closing = open({
    message: () => {
      count++;
      closing.source.close();
    },
  });
  closing.transport.queue.push(event(1), event(2));
  closing.source.drain();
  assert.equal(count, 1);
});
