// ReceiveBuffers: the buffers for the datagrams of one socket.

import type { Datagrams } from './datagrams.js';
import type { Transport } from './transport.js';

/** The kernel never makes a dump datagram larger than this (docs/kernel.md 1.8). */
const DATAGRAM_SIZE = 32768;
/** The first part of a dump is received without a thread, so that a small table never starts one. */
const FIRST_SLOTS = 2;
/**
 * Datagrams received at once later in a dump: about 19,000 entries, or 40 ms of the kernel's time on a thread. Between two parts that
 * thread waits until the caller's thread runs, which takes 5 ms on a busy machine.
 */
const MOST_SLOTS = 128;
/** Datagrams that are being filled, wait, or are being visited. While new code is slow, for 0.1 s, the kernel goes on. */
const AHEAD_SLOTS = 3 * MOST_SLOTS;

/**
 * Receive buffers for one socket: a small one for answers and the start of a dump, and large ones, made as a dump needs them, so that the
 * kernel fills some while others are read. Each is twice as large as the previous one, up to a limit, so that the first entries arrive
 * soon and the later parts are few.
 */
export class ReceiveBuffers {
  readonly first: Datagrams;
  readonly #transport: Pick<Transport, 'createDatagrams'>;
  /** Large buffers of the largest size, as the dump that made them had it. */
  readonly #free: Datagrams[] = [];
  #made = 0;
  #latest = FIRST_SLOTS;
  /** The largest size, as asked for last. */
  #most = MOST_SLOTS;

  constructor(transport: Pick<Transport, 'createDatagrams'>) {
    this.#transport = transport;
    this.first = transport.createDatagrams(FIRST_SLOTS, DATAGRAM_SIZE);
  }

  /** A large buffer of at most this many slots, or `undefined` while too many are in use. */
  take(most = MOST_SLOTS): Datagrams | undefined {
    this.#most = Math.min(most, MOST_SLOTS);
    const free = this.#free.pop();
    if (free) return free;
    const slots = Math.min(this.#most, 2 * this.#latest);
    if (this.#made + slots > AHEAD_SLOTS) return undefined;
    this.#made += slots;
    this.#latest = slots;
    return this.#transport.createDatagrams(slots, DATAGRAM_SIZE);
  }

  /** Takes a buffer back, for reuse unless later ones will be larger. */
  give(buffer: Datagrams): void {
    if (buffer === this.first) return;
    if (buffer.slots >= this.#most) this.#free.push(buffer);
    else this.#made -= buffer.slots;
  }

  /** Releases the large buffers at the end of a dump, as the next may be small, but for so many. */
  release(kept: number): void {
    for (const buffer of this.#free.splice(kept)) this.#made -= buffer.slots;
    this.#latest = FIRST_SLOTS;
  }
}
