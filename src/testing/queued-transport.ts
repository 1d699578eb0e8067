// QueuedTransport: a transport without a kernel. It receives what somebody puts into its queue.

import { ClosedError } from '../errors.js';
import { Datagrams } from '../wire/datagrams.js';
import { EAGAIN } from '../wire/errno.js';
import type { DescriptorWatch } from '../wire/libc.js';
import type { Transport } from '../wire/transport.js';

/** A datagram, or the errno of a receive that fails. */
export type Arrival = Uint8Array | number;

/** The substitute for the kernel. */
export interface QueueOwner {
  /** Does what a datagram requests. The datagram may be overwritten afterwards. @returns the answers */
  readonly answer: (request: Uint8Array) => readonly Arrival[];
  /** How many datagrams have been lost so far. */
  readonly drops?: () => number;
  /** The transport is closed: no more arrivals. */
  readonly closed?: () => void;
}

export class QueuedTransport implements Transport {
  readonly portId: number;
  readonly receiveBuffer: number;
  readonly #owner: QueueOwner;
  readonly #queue: Arrival[] = [];
  /** The errno with which the next receive fails. */
  #failure: number | undefined;
  #ready: ((status: number) => void) | undefined;
  #scheduled = false;
  #closed = false;

  constructor(portId: number, owner: QueueOwner, receiveBuffer = 0) {
    this.portId = portId;
    this.receiveBuffer = receiveBuffer;
    this.#owner = owner;
  }

  get drops(): number {
    return this.#owner.drops?.() ?? 0;
  }

  /** How many arrivals and failures wait. */
  get waiting(): number {
    return this.#queue.length + (this.#failure === undefined ? 0 : 1);
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return new Datagrams(slots, slotSize);
  }

  send(bytes: Uint8Array, length: number): void {
    this.#check();
    for (const answer of this.#owner.answer(bytes.subarray(0, length))) this.arrive(answer);
  }

  async sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    this.send(bytes, length);
  }

  receive(into: Datagrams): number {
    this.#check();
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return -failure;
    }
    const [first] = this.#queue;
    if (typeof first === 'number') {
      this.#queue.shift();
      return -first;
    }
    let count = 0;
    for (
      let next: Arrival | undefined = first;
      count < into.slots && next !== undefined && typeof next !== 'number';
      next = this.#queue[count]
    )
      into.put(count++, next);
    this.#queue.splice(0, count);
    return count === 0 ? -EAGAIN : count;
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    return this.receive(into);
  }

  watch(ready: (status: number) => void): DescriptorWatch {
    const start = () => {
      this.#ready = ready;
      this.#schedule();
    };
    const stop = () => {
      this.#ready = undefined;
    };
    start();
    const nothing = () => {}; // a queue does not keep the process alive
    return { start, stop, unref: nothing, ref: nothing, close: stop };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ready = undefined;
    this.#queue.length = 0;
    this.#failure = undefined;
    this.#owner.closed?.();
  }

  /** Something has arrived. */
  arrive(arrival: Arrival): void {
    if (this.#closed) return;
    this.#queue.push(arrival);
    this.#schedule();
  }

  /** Makes the next receive fail, before it takes what waits. */
  fail(errno: number): void {
    if (this.#closed) return;
    this.#failure = errno;
    this.#schedule();
  }

  /** Calls as poll(2) would: repeatedly while something waits. */
  #schedule(): void {
    if (this.#scheduled || !this.#ready || this.waiting === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.waiting > 0) this.#ready?.(0);
      this.#schedule();
    });
  }

  #check(): void {
    if (this.#closed) throw new ClosedError('the transport is closed');
  }
}
