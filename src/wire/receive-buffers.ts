// ReceiveBuffers: what the datagrams of one socket are received into.

import type { Datagrams } from './datagrams.js';
import type { Transport } from './transport.js';

/** The kernel never makes a dump datagram larger than this (docs/kernel.md 1.8). */
const DATAGRAM_SIZE = 32768;
/** Datagrams taken at once during a dump: about 4,000 entries, or 10 to 20 ms of the kernel's time on a thread. */
const DUMP_SLOTS = 32;
/** Parts of a dump that are being filled, wait or are visited: the kernel goes on while code that is new is slow, for 0.1 s. */
const DUMP_PARTS = 8;
/** One is filled while another is visited. */
const FREE_KEPT = 2;
/** The first part of a dump is taken without a thread, so that a small table never starts one. */
const FIRST_SLOTS = 2;

/**
 * Receive buffers for one socket: a small one for answers and the start of a dump, and large ones, made as a dump needs them, so
 * that the kernel fills some while others are read.
 */
export class ReceiveBuffers {
  readonly first: Datagrams;
  readonly #transport: Pick<Transport, 'createDatagrams'>;
  readonly #free: Datagrams[] = [];
  #made = 0;

  constructor(transport: Pick<Transport, 'createDatagrams'>) {
    this.#transport = transport;
    this.first = transport.createDatagrams(FIRST_SLOTS, DATAGRAM_SIZE);
  }

  /** A large buffer, or `undefined` while all are in use. */
  take(): Datagrams | undefined {
    const free = this.#free.pop();
    if (free || this.#made === DUMP_PARTS) return free;
    this.#made++;
    return this.#transport.createDatagrams(DUMP_SLOTS, DATAGRAM_SIZE);
  }

  /** Takes a buffer back, to be used again or, when there are others, to be let go. */
  give(buffer: Datagrams): void {
    if (buffer === this.first) return;
    if (this.#free.length < FREE_KEPT) this.#free.push(buffer);
    else this.#made--;
  }
}
