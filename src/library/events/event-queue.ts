// EventQueue: events that wait to be taken, and what happens if they arrive faster. The event loop keeps it alive; the program's stream
// is another object, so that the garbage collector notices when nobody can take events any more.

import type { View } from '../../ctnetlink/view.js';
import { ConntrackError } from '../../errors.js';
import type { EventQueueOptions, OverflowPolicy } from '../call-options.js';
import { throwLater } from '../throw-later.js';
import type { EventWatch } from './event-watch.js';

const HIGH_WATER_MARK = 16_384;

/** Events arrived faster than they were taken, with `overflow: 'fail'`. */
export class OverflowError extends ConntrackError {
  readonly code = 'OVERFLOW';
}

/** A waiting call of `next`. It keeps its stream alive, because its event must arrive. */
interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (reason: unknown) => void;
  readonly stream: object;
}

export class EventQueue<T> {
  /** Settles when the first list is complete. */
  readonly ready: Promise<void>;
  readonly #watch: EventWatch;
  readonly #mark: number;
  readonly #policy: OverflowPolicy;
  readonly #waiting: Waiting<T>[] = [];
  #queue: T[] = [];
  /** The first of `#queue` that was not taken. */
  #next = 0;
  #paused = false;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;
  #lost = 0;
  #dropped = 0;
  readonly #onEnd: (() => void)[] = [];
  #settleReady!: { readonly resolve: () => void; readonly reject: (reason: unknown) => void };

  /** @throws SystemError, PlatformError if the watch cannot begin; then it is closed */
  constructor(
    watch: EventWatch,
    make: (view: View) => T,
    { highWaterMark = HIGH_WATER_MARK, overflow = 'pause', onLost }: EventQueueOptions,
  ) {
    this.#watch = watch;
    this.#mark = highWaterMark;
    this.#policy = overflow;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => {}); // report it to whoever iterates as well
    try {
      watch.start({
        event: (view) => {
          this.#push(make(view));
        },
        ready: this.#settleReady.resolve,
        lost: (loss) => {
          this.#lost += loss.events;
          try {
            onLost?.(loss);
          } catch (error) {
            throwLater(error);
          }
        },
        failed: (reason) => this.fail(reason),
      });
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  /** Events that the kernel has dropped so far. */
  get lost(): number {
    return this.#lost;
  }

  /** Events that were dropped here, by `overflow`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The next event, for this stream. */
  next(stream: object): Promise<IteratorResult<T, undefined>> {
    if (this.#next < this.#queue.length) return Promise.resolve({ value: this.#take(), done: false });
    if (this.#failure) {
      const { reason } = this.#failure;
      this.#failure = undefined; // told once
      return Promise.reject(reason);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject, stream }));
  }

  /** Ends it quietly; waiting events are dropped. Idempotent. */
  close(): void {
    this.#clear();
    this.#failure = undefined;
    this.#settleReady.resolve();
    this.#end();
  }

  /** Ends it with a reason from outside; waiting events are dropped. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.#clear();
    this.fail(reason);
  }

  /** Ends it with an error, after the waiting events. */
  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#failure = { reason };
    this.#settleReady.reject(reason);
    this.#end();
  }

  /** Calls back when it has ended. */
  onEnd(callback: () => void): void {
    if (this.#ended) callback();
    else this.#onEnd.push(callback);
  }

  unref(): void {
    this.#watch.unref();
  }

  ref(): void {
    this.#watch.ref();
  }

  #push(item: T): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting.resolve({ value: item, done: false });
      return;
    }
    if (this.#queue.length - this.#next >= this.#mark && !this.#makeRoom()) return;
    this.#queue.push(item);
  }

  /** @returns whether the newest event goes into the queue */
  #makeRoom(): boolean {
    switch (this.#policy) {
      case 'pause':
        // The rest of the batch still comes.
        this.#paused = true;
        this.#watch.pause();
        return true;
      case 'drop-oldest':
        this.#take();
        this.#dropped++;
        return true;
      case 'drop-newest':
        this.#dropped++;
        return false;
      case 'fail':
        this.fail(
          new OverflowError(`${this.#mark} events wait to be taken`, {
            hint: 'take them faster, or choose another overflow policy',
          }),
        );
        return false;
    }
  }

  #take(): T {
    const value = this.#queue[this.#next++]!;
    if (this.#next === this.#queue.length) this.#clear();
    else if (this.#next * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    if (this.#paused && (this.#queue.length - this.#next) * 2 <= this.#mark) {
      this.#paused = false;
      this.#watch.resume();
    }
    return value;
  }

  #clear(): void {
    this.#queue = [];
    this.#next = 0;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch.close();
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) reject(failure.reason);
      else resolve({ value: undefined, done: true });
    }
    for (const callback of this.#onEnd.splice(0)) callback();
  }
}
