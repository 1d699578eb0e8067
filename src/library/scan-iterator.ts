// ScanIterator: the results of a scan, as an async iterator. The scan goes on when its results have been taken, and ends when nobody
// wants more; the event loop gets its turns whatever the table's size.

import type { View } from '../ctnetlink/view.js';
import type { ScanVisitor } from './flow-dumps.js';
import { TimeSlice } from './time-slice.js';

/** How many items are handed out between two looks at the clock. A power of two. */
const CLOCK_EVERY = 32;

/** Thrown into a scan to stop it when nobody wants more. */
class Stopped extends Error {}

type Waiting<T> = {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (reason: unknown) => void;
};

export class ScanIterator<T> implements AsyncIterableIterator<T> {
  readonly #scan: (visitor: ScanVisitor) => Promise<void>;
  readonly #make: (view: View) => T;
  /** Throws when the scan shall not go on: it was aborted, or the table closed. */
  readonly #check: () => void;
  readonly #slice = new TimeSlice();
  /** Found and not yet taken, from `#next` on. */
  readonly #found: T[] = [];
  #next = 0;
  /** Scans that wait for room: there may be one for each family. */
  #resume: (() => void)[] = [];
  /** Calls of `next` that wait for something to be found. */
  readonly #waiting: Waiting<T>[] = [];
  #scanning: Promise<void> | undefined;
  #ended = false;
  #stopped = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(scan: (visitor: ScanVisitor) => Promise<void>, make: (view: View) => T, check: () => void) {
    this.#scan = scan;
    this.#make = make;
    this.#check = check;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#ended && !this.#failure) {
      try {
        this.#check();
      } catch (reason) {
        this.fail(reason);
      }
    }
    if (this.#next < this.#found.length) {
      const value = this.#found[this.#next++]!;
      const pause = (this.#next & (CLOCK_EVERY - 1)) === 0 ? this.#slice.pause() : undefined;
      return pause ? pause.then(() => ({ value, done: false })) : Promise.resolve({ value, done: false });
    }
    if (this.#failure) {
      const { reason } = this.#failure;
      this.#failure = undefined; // told once
      this.#ended = true;
      return Promise.reject(reason);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#start();
      this.#goOn();
    });
  }

  /** Ends the scan: `break` calls it. Settles when nothing is in progress any more. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#stop();
    this.#ended = true;
    this.#failure = undefined;
    await this.#scanning;
    this.#settleWaiting();
    return { value: undefined, done: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Settles when nothing is under way any more. */
  get settled(): Promise<void> {
    return this.#scanning ?? Promise.resolve();
  }

  /** Ends the scan; the reader is told at the next step. */
  fail(reason: unknown): void {
    this.#found.length = 0;
    this.#next = 0;
    this.#failure ??= { reason };
    this.#stop();
    this.#settleWaiting();
  }

  #start(): void {
    if (this.#scanning) return;
    this.#scanning = this.#scan({
      entry: (view) => this.#found.push(this.#make(view)),
      beginBatch: () => this.#slice.restart(),
      pause: () => this.#pause(),
    })
      .then(
        () => {
          this.#ended = true;
        },
        (reason: unknown) => {
          if (!(reason instanceof Stopped)) this.#failure ??= { reason };
          this.#ended = this.#failure === undefined;
        },
      )
      .then(() => this.#settleWaiting());
  }

  /** Called after each part of a scan: hands out results to waiting readers, then waits until the rest has been taken. */
  #pause(): Promise<void> | undefined {
    if (this.#stopped) throw new Stopped();
    this.#check();
    this.#settleWaiting();
    if (this.#next === this.#found.length) return this.#slice.pause();
    return new Promise((resolve, reject) => {
      this.#resume.push(() => (this.#stopped ? reject(new Stopped()) : resolve()));
    });
  }

  /** All results have been taken: the scans may go on. */
  #goOn(): void {
    if (this.#next === this.#found.length) {
      this.#found.length = 0;
      this.#next = 0;
    }
    const resume = this.#resume;
    this.#resume = [];
    for (const each of resume) each();
  }

  #settleWaiting(): void {
    while (this.#waiting.length > 0) {
      if (this.#next === this.#found.length && !this.#ended && !this.#failure) return;
      const { resolve, reject } = this.#waiting.shift()!;
      if (this.#next < this.#found.length) resolve({ value: this.#found[this.#next++]!, done: false });
      else if (this.#failure) {
        const { reason } = this.#failure;
        this.#failure = undefined;
        this.#ended = true;
        reject(reason);
      } else resolve({ value: undefined, done: true });
    }
  }

  #stop(): void {
    this.#stopped = true;
    this.#goOn();
  }
}
