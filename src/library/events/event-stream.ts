// EventStream: events as an async iterator.

import { closeWhenForgotten } from '../../wire/forgotten.js';
import type { EventQueue } from './event-queue.js';

/**
 * Events from the moment of its creation. Leaving the loop, `close` or `using` ends it and drops waiting events. So does aborting its
 * signal or closing its Conntrack; then the next `next` rejects. A failure is reported after the waiting events. The garbage collector
 * closes an unreachable stream, some time later.
 */
export class EventStream<T> implements AsyncIterableIterator<T>, AsyncDisposable, Disposable {
  readonly #queue: EventQueue<T>;

  private constructor(queue: EventQueue<T>) {
    this.#queue = queue;
    closeWhenForgotten(this, queue);
  }

  /** The events of a queue. @internal */
  static of<T>(queue: EventQueue<T>): EventStream<T> {
    return new EventStream(queue);
  }

  /** Settles when the first list is complete; at once without `initial` and `resync`. Rejects if the stream fails before. */
  get ready(): Promise<void> {
    return this.#queue.ready;
  }

  /** Events that the kernel has dropped so far. */
  get lost(): number {
    return this.#queue.lost;
  }

  /** Events that were dropped here, by `overflow`. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#queue.next(this);
  }

  /** Ends the stream: `break` calls it. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.close();
    return { value: undefined, done: true };
  }

  /** The process may end while this stream is open. @returns the stream */
  unref(): this {
    this.#queue.unref();
    return this;
  }

  /** Undoes `unref`. @returns the stream */
  ref(): this {
    this.#queue.ref();
    return this;
  }

  /** Ends the stream and drops waiting events. Idempotent. */
  close(): void {
    this.#queue.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
