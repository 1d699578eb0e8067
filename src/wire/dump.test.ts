// Dumps over a transport that delivers parts when told to: reading ahead, its bounds, its end, and the shared thread.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ClosedError, NoAnswerError, SystemError } from '../errors.js';
import type { Request } from './answers.js';
import { putHost16, putHost32 } from './bytes.js';
import { Datagrams } from './datagrams.js';
import { beginDump, dump, SharedThread } from './dump.js';
import { ReceiveBuffers } from './receive-buffers.js';
import type { Transport } from './transport.js';
import { NLMSG_DONE } from './uapi/netlink.js';

const SEQUENCE = 7;
const ENTRY = 0x100;
const EBADF = 9;
const request: Request = { name: 'TEST', sequence: SEQUENCE, bytes: new Uint8Array(20), length: 20 };

/** One message in a datagram: an entry with a number, or the end. */
function datagram(number: number | undefined): Uint8Array {
  const bytes = new Uint8Array(20);
  putHost32(bytes, 0, 20);
  putHost16(bytes, 4, number === undefined ? NLMSG_DONE : ENTRY);
  putHost32(bytes, 8, SEQUENCE);
  putHost32(bytes, 16, number ?? 0);
  return bytes;
}

/** Answers with entries `0` to `count - 1` and the end, or fails after `failAfter` datagrams. */
class Script implements Transport {
  readonly portId = 1;
  readonly receiveBuffer = 0;
  readonly drops = 0;
  readonly #count: number;
  readonly #failure: (() => number) | undefined;
  #next = 0;
  /** Slots of the large buffers that were created. */
  readonly made: number[] = [];
  /** Datagrams that were received. */
  given = 0;
  onThread = 0;
  underWay = 0;
  onCaller = 0;
  /** The largest number of simultaneous receives, over all scripts with the same tally. */
  readonly tally: { now: number; most: number };

  constructor(count: number, failure?: () => number, tally = { now: 0, most: 0 }) {
    this.#count = count;
    this.#failure = failure;
    this.tally = tally;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    if (slots > 2) this.made.push(slots);
    return new Datagrams(slots, slotSize);
  }
  send(): void {}
  async sendAsync(): Promise<void> {}
  watch(): never {
    throw new Error('not part of a dump');
  }
  close(): void {}

  receive(into: Datagrams): number {
    this.onCaller++;
    return this.#fill(into);
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    this.onThread++;
    this.underWay++;
    this.tally.now++;
    this.tally.most = Math.max(this.tally.most, this.tally.now);
    await new Promise((resolve) => setImmediate(resolve));
    this.underWay--;
    this.tally.now--;
    return this.#fill(into);
  }

  #fill(into: Datagrams): number {
    if (this.#next > this.#count) return -11;
    let slot = 0;
    for (; slot < into.slots && this.#next < this.#count; slot++) into.put(slot, datagram(this.#next++));
    this.given += slot;
    if (slot > 0) return slot;
    if (this.#failure) return this.#failure();
    this.#next++;
    into.put(0, datagram(undefined));
    return 1;
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const number = (bytes: Uint8Array, at: number) => bytes[at + 16]! | (bytes[at + 17]! << 8);

function collector() {
  const seen: number[] = [];
  return { seen, visitor: { message: (bytes: Uint8Array, at: number) => void seen.push(number(bytes, at)) } };
}

suite('dump', () => {
  for (const count of [0, 1, 2, 3, 6, 7, 254, 255, 1000])
    test(`visits ${count} datagrams in order`, async () => {
      const { seen, visitor } = collector();
      await dump(...started(new Script(count)), visitor);
      assert.deepEqual(seen, numbers(count));
    });

  test('starts no thread when the first receive has the end', async () => {
    const script = new Script(0);
    const { visitor } = collector();
    await dump(...started(script), visitor);
    assert.equal(script.onThread, 0);
    assert.deepEqual(script.made, []);
  });

  test('reads no further ahead than it is told to', async () => {
    const script = new Script(1000);
    let visited = 0;
    await dump(
      script,
      new ReceiveBuffers(script),
      { ...request, ahead: 1 },
      {
        message: () => {},
        beginBatch: async () => {
          for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
          assert.ok(script.onThread - visited++ <= 1, 'more than one part waits');
        },
      },
    );
    assert.ok(visited > 20);
  });

  test('a buffer that cannot be made is a failure like others', async () => {
    const script = new Script(500);
    const [transport, buffers] = started(script);
    script.createDatagrams = () => {
      throw new RangeError('no memory');
    };
    const thread = new SharedThread();
    const { seen, visitor } = collector();
    await assert.rejects(dump(transport, buffers, { ...request, thread }, visitor), /no memory/);
    assert.deepEqual(seen, [0, 1]);
    assert.ok(thread.take(), 'the thread is not free');
  });

  test('buffers that another dump holds are told, not waited for', async () => {
    const script = new Script(500);
    const [transport, buffers] = started(script);
    while (buffers.take());
    await assert.rejects(dump(transport, buffers, request, { message: () => {} }), /in use by another dump/);
  });

  test('reads ahead of a slow visitor, so far and no further; the next dump begins with small parts again', async () => {
    const script = new Script(4000);
    const buffers = new ReceiveBuffers(script);
    let most = 0;
    let visited = 0;
    await dump(script, buffers, request, {
      message: () => void visited++,
      beginBatch: async () => {
        for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, script.given - visited);
      },
    });
    assert.deepEqual(script.made, [4, 8, 16, 32, 64, 128, 128, 128]);
    assert.ok(most > 256 && most <= 384, `${most} datagrams ahead`);
    assert.deepEqual([buffers.take()!.slots, buffers.take()!.slots], [4, 8]);
  });

  test('parts stay small where few may wait, and the next list has their buffers', async () => {
    const script = new Script(1000);
    const buffers = new ReceiveBuffers(script);
    await dump(script, buffers, { ...request, ahead: 1 }, { message: () => {} });
    assert.ok(Math.max(...script.made) <= 32, `${script.made}`);
    const made = script.made.splice(0);
    await dump(new Script(1000), buffers, { ...request, ahead: 1 }, { message: () => {} });
    assert.deepEqual([made, script.made], [[4, 8, 16, 32, 32], []]);
    // Another list may be large.
    await dump(new Script(4000), buffers, request, { message: () => {} });
    assert.ok(script.made.includes(128), `${script.made}`);
  });

  test('goes on receiving while a part is visited', async () => {
    const script = new Script(500);
    let during = 0;
    let before = 0;
    await dump(...started(script), {
      message: (bytes, at) => {
        // Datagrams 14 to 29 are one part.
        if (number(bytes, at) === 14) before = script.onThread;
        if (number(bytes, at) === 29) during = script.onThread - before;
      },
    });
    assert.ok(during >= 2, `${during} receives were begun during the visit of a part`);
  });

  test('ends the receive that is under way before it throws what a visitor threw; its buffers can be used again', async () => {
    const script = new Script(5000);
    const [transport, buffers] = started(script);
    const thrown = new Error('enough');
    await assert.rejects(
      dump(transport, buffers, request, {
        message: (bytes, at) => {
          if (number(bytes, at) === 400) throw thrown;
        },
      }),
      thrown,
    );
    assert.equal(script.underWay, 0);
    const { seen, visitor } = collector();
    await dump(transport, buffers, request, visitor);
    assert.equal(seen.at(-1), 4999);
  });

  const FAILURES: readonly [string, () => number, object][] = [
    ['an errno', () => -EBADF, { constructor: SystemError, code: 'EBADF' }],
    ['nothing', () => -11, { constructor: NoAnswerError }],
    [
      'an exception',
      () => {
        throw new ClosedError('it is closed');
      },
      { constructor: ClosedError },
    ],
  ];
  for (const [name, failure, expected] of FAILURES)
    test(`visits what came before ${name}, and then throws`, async () => {
      const { seen, visitor } = collector();
      await assert.rejects(dump(...started(new Script(500, failure)), visitor), expected);
      assert.deepEqual(seen, numbers(500));
    });
});

suite('a dump that is only begun', () => {
  for (const large of [false, true])
    test(`visits the first part and receives no other, ${large ? 'on' : 'without'} a thread`, async () => {
      const script = new Script(500);
      const { seen, visitor } = collector();
      await beginDump(script, new ReceiveBuffers(script), { ...request, large }, visitor);
      assert.deepEqual(seen, [0, 1]);
      assert.deepEqual([script.onCaller, script.onThread, script.made.length], large ? [0, 1, 0] : [1, 0, 0]);
    });

  test('may have ended by then, or failed', async () => {
    const empty = new Script(0);
    const { seen, visitor } = collector();
    await beginDump(...started(empty), visitor);
    assert.deepEqual(seen, []);
    await assert.rejects(beginDump(...started(new Script(0, () => -EBADF)), visitor), {
      constructor: SystemError,
      code: 'EBADF',
    });
  });
});

suite('dumps that share a thread', () => {
  test('one at a time has it, and all end', async () => {
    const tally = { now: 0, most: 0 };
    const scripts = [900, 700, 3].map((count) => new Script(count, undefined, tally));
    const thread = new SharedThread();
    const collectors = scripts.map(collector);
    await Promise.all(
      scripts.map((script, i) => {
        const [transport, buffers] = started(script);
        return dump(transport, buffers, { ...request, thread }, collectors[i]!.visitor);
      }),
    );
    assert.deepEqual(
      collectors.map(({ seen }) => seen),
      [900, 700, 3].map(numbers),
    );
    assert.equal(tally.most, 1);
    assert.ok(scripts[0]!.onThread > 8);
    assert.ok(scripts[1]!.onCaller > 1, 'nothing was received on the thread of the caller');
  });

  test('the first that was begun has it, though its first part comes last', async () => {
    const thread = new SharedThread();
    const slow = new Script(500);
    slow.sendAsync = async () => {
      for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    const other = new Script(200);
    const [first, second] = [collector(), collector()];
    let meanwhile: readonly number[] | undefined;
    const message = (bytes: Uint8Array, at: number) => {
      meanwhile ??= [second.seen.length, other.onThread];
      first.visitor.message(bytes, at);
    };
    await Promise.all([
      dump(slow, new ReceiveBuffers(slow), { ...request, thread, large: true }, { message }),
      dump(other, new ReceiveBuffers(other), { ...request, thread, large: true }, second.visitor),
    ]);
    assert.deepEqual([first.seen, second.seen], [numbers(500), numbers(200)]);
    assert.ok(meanwhile![0]! > 10, 'the second waited for the first');
    assert.equal(meanwhile![1], 1, 'more than the first part of the second was received on the thread');
    assert.ok(slow.onThread > 6, 'the first did not have the thread');
  });

  test('without one, each receives on that of the caller', async () => {
    const script = new Script(300);
    const { seen, visitor } = collector();
    await dump(script, new ReceiveBuffers(script), { ...request, thread: SharedThread.none() }, visitor);
    assert.deepEqual(seen, numbers(300));
    assert.equal(script.onThread, 0);
  });

  test('the thread is free again after a failure', async () => {
    const tally = { now: 0, most: 0 };
    const thread = new SharedThread();
    const failing = new Script(100, () => -EBADF, tally);
    const other = new Script(3000, undefined, tally);
    const { seen, visitor } = collector();
    const results = await Promise.allSettled([
      dump(failing, new ReceiveBuffers(failing), { ...request, thread }, { message: () => {} }),
      dump(other, new ReceiveBuffers(other), { ...request, thread }, visitor),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    );
    assert.deepEqual(seen, numbers(3000));
    assert.ok(other.onThread > 10, 'the other dump did not get the thread');
  });
});

function started(script: Script): [Script, ReceiveBuffers, Request] {
  return [script, new ReceiveBuffers(script), request];
}
