// Session: the shared state of the public API: the table, whether it is open, and the calls in progress.

import type { View } from '../ctnetlink/view.js';
import { ClosedError } from '../errors.js';
import { closeWhenForgotten } from '../wire/forgotten.js';
import { MOST_SAVED_BESIDE_OTHERS, type Program, ProgramNames } from '../wire/program-names.js';
import { asksKernel } from '../wire/socket.js';
import type { CallOptions } from './call-options.js';
import { CALL_OPTIONS, checkOptions, type OptionChecks } from './check-options.js';
import { EventWatch, type EventWatchOptions } from './events/event-watch.js';
import type { ScanVisitor } from './flow-dumps.js';
import { hinted, withHint } from './hints.js';
import { onAbort } from './on-abort.js';
import { ScanIterator } from './scan-iterator.js';
import type { Signal } from './signal.js';
import type { ConntrackTable } from './table.js';
import { takeEach } from './take-each.js';
import { TimeSlice } from './time-slice.js';

/** The parts of a visitor that a long run needs. */
interface Patience {
  readonly beginBatch: () => void;
  readonly pause: () => Promise<void> | undefined;
}

/** Something that runs until it is told to end, or ends by itself. */
export interface Ending {
  end(reason: unknown): void;
  onEnd(callback: () => void): void;
}

/** A scan that has begun. */
interface Scan {
  fail(reason: unknown): void;
  readonly settled: Promise<void>;
}

export class Session {
  readonly table: ConntrackTable;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closers = new Set<() => void>();
  readonly #scans = new Set<WeakRef<Scan>>();
  #closed = false;

  constructor(table: ConntrackTable) {
    this.table = table;
  }

  /**
   * Runs something that uses the table; `known` are the rows of its options.
   * @throws ValueError, ClosedError, the signal's reason; refusals of the kernel with a hint
   */
  async run<T>(options: CallOptions, work: () => T | Promise<T>, known: OptionChecks = CALL_OPTIONS): Promise<T> {
    checkOptions(options, known);
    this.#check(options.signal);
    const running = hinted(work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** What a long run needs: a check whether to go on, and a way to yield to the event loop. */
  patience({ signal }: CallOptions): Patience {
    const slice = new TimeSlice();
    return {
      beginBatch: () => slice.restart(),
      pause: () => {
        this.#check(signal);
        return slice.pause();
      },
    };
  }

  /** Passes each item to `take` and waits for its promise. @throws ClosedError, the signal's reason, even if the source is stuck */
  each<T>(
    items: Iterable<T> | AsyncIterable<T>,
    { signal }: CallOptions,
    take: (item: T) => Promise<void> | undefined,
  ): Promise<void> {
    return takeEach(items, take, (end) => this.#whenOver(signal, end));
  }

  /** What a scan finds, item by item. */
  iterate<T>(scan: (visitor: ScanVisitor) => Promise<void>, make: (view: View) => T, { signal }: CallOptions): ScanIterator<T> {
    const tracked = async (visitor: ScanVisitor) => {
      const done = this.#scanning(iterator, signal);
      try {
        await scan(visitor);
      } catch (error) {
        throw withHint(error);
      } finally {
        done();
      }
    };
    const iterator = new ScanIterator(tracked, make, () => this.#check(signal));
    return iterator;
  }

  /** Listens to events of the table from now on. @throws ClosedError, the signal's reason, SystemError, PlatformError */
  watch(call: CallOptions, options: Omit<EventWatchOptions, 'namespace' | 'transport' | 'background'>): EventWatch {
    this.#check(call.signal);
    return EventWatch.open({ ...options, ...this.table.place, background: true }, () => this.table);
  }

  /**
   * The program behind the port id of an event, if requested. With a substitute for the kernel, port ids do not belong to this system.
   */
  programs(wanted: boolean): (view: View) => Program | undefined {
    const { namespace, transport } = this.table.place;
    if (!wanted || !asksKernel(transport)) return () => undefined;
    const names = ProgramNames.in(namespace, MOST_SAVED_BESIDE_OTHERS);
    return ({ portId }) => (portId === 0 ? undefined : names.find(portId));
  }

  /** Ties something that runs by itself to this session and a signal: it ends with them. @throws ClosedError, the signal's reason */
  attach(ending: Ending, { signal }: CallOptions): void {
    this.#check(signal);
    ending.onEnd(this.#whenOver(signal, (reason) => ending.end(reason)));
  }

  /** Idempotent. Settles when nothing is in progress any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const close of this.#closers) close();
    this.table.close();
    const scans = [...this.#scans].map((scan) => scan.deref()?.settled);
    await Promise.allSettled([...this.#running, ...scans]);
  }

  /**
   * Keeps a scan that has begun in mind: it may be waiting for its reader, who may be waiting for `close`. Not so that it stays when
   * the reader has dropped it: then its socket is closed. @returns what ends that
   */
  #scanning(scan: Scan, signal: Signal | undefined): () => void {
    const weak = new WeakRef(scan);
    const over = this.#whenOver(signal, (reason) => weak.deref()?.fail(reason));
    this.#scans.add(weak);
    const close = () => {
      over();
      this.#scans.delete(weak);
    };
    closeWhenForgotten(scan, { close });
    return close;
  }

  /** Calls `end` with the reason when the table is closed or the signal aborted. @returns a function that undoes this */
  #whenOver(signal: Signal | undefined, end: (reason: unknown) => void): () => void {
    const close = () => end(closedError());
    this.#closers.add(close);
    const heedNoMore = onAbort(signal, end);
    return () => {
      this.#closers.delete(close);
      heedNoMore();
    };
  }

  #check(signal: Signal | undefined): void {
    if (this.#closed) throw closedError();
    signal?.throwIfAborted();
  }
}

function closedError(): ClosedError {
  return new ClosedError('this Conntrack is closed');
}

/** The items of a list, one after the other. Leaving the loop, `return()` and `await using` end the reading. */
export interface ListingIterator<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  next(): Promise<IteratorResult<T, undefined>>;
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): ListingIterator<T>;
}

/** Something that can be iterated over, each time from the beginning. */
export class Listing<T> implements AsyncIterable<T> {
  readonly #begin: () => ScanIterator<T>;

  /** @internal */
  constructor(begin: () => ScanIterator<T>) {
    this.#begin = begin;
  }

  /** Reads the kernel's list. `break` ends the reading. */
  [Symbol.asyncIterator](): ListingIterator<T> {
    return this.#begin();
  }

  /** All items at once, for lists that are known to be short. */
  async toArray(): Promise<T[]> {
    const all: T[] = [];
    for await (const item of this) all.push(item);
    return all;
  }
}
