// LiveFlows: the flows of a table, kept up to date from events, with a notification of every change.

import { putFlowKey } from '../../ctnetlink/encode.js';
import { type EventProgram, type FlowEvent, flowEvent } from '../../ctnetlink/event.js';
import { S } from '../../ctnetlink/fields.js';
import { compileFilter } from '../../ctnetlink/filter/compile.js';
import type { FilterInput } from '../../ctnetlink/filter/object-input.js';
import { type Flow, FlowReader } from '../../ctnetlink/flow.js';
import { type FlowKeyInput, toFlowKey } from '../../ctnetlink/new-flow.js';
import { createFlowView, type View } from '../../ctnetlink/view.js';
import { ValueError } from '../../errors.js';
import { closeWhenForgotten } from '../../wire/forgotten.js';
import { MessageWriter } from '../../wire/message.js';
import { checkListener } from '../check-options.js';
import { readFilter } from '../filters.js';
import type { Ending } from '../session.js';
import { throwLater } from '../throw-later.js';
import { TimeSlice } from '../time-slice.js';
import type { EventLoss } from './event-source.js';
import type { EventWatch } from './event-watch.js';

/** What a listener of a live view gets: an event, or the report of a loss, which is being repaired. */
export type LiveChange = FlowEvent | { readonly type: 'LOST'; readonly events: number; readonly at: number };

/**
 * Called with each change, after the view has applied it. An exception in it is an uncaught exception of the process, as with listeners
 * of an EventTarget; the view goes on, and the other listeners get the change.
 */
export type LiveListener = (change: LiveChange) => void;

/** A listener and its view, which stays alive as long as it has listeners. */
interface Subscription {
  readonly listener: LiveListener;
  readonly live: LiveFlows;
}

/** How many flows are counted between two looks at the clock. A power of two. */
const CLOCK_EVERY = 256;

/**
 * A live view of the flows that match a filter: the list, then every event, and after a loss of events a comparison with the list again.
 * Flows are kept as the kernel's messages, outside the JavaScript heap, in about 300 bytes each; objects are made on demand. Timeouts and
 * counters are those of the last event, not current ones. The garbage collector closes an unreachable view without listeners, some time
 * later.
 */
export class LiveFlows implements Iterable<Flow>, AsyncDisposable, Disposable {
  readonly #core: LiveCore;

  private constructor(core: LiveCore) {
    this.#core = core;
    closeWhenForgotten(this, core);
  }

  /** Settles when the view is complete. @internal */
  static async start(watch: EventWatch, attach: (ending: Ending) => void): Promise<LiveFlows> {
    const core = new LiveCore(watch);
    try {
      attach(core);
      await core.start();
    } catch (error) {
      core.close();
      throw error;
    }
    return new LiveFlows(core);
  }

  /** How many flows there are now. */
  get size(): number {
    return this.#core.watch.known.size;
  }

  /** Events lost and made up for so far. */
  get lost(): number {
    return this.#core.lost;
  }

  /** Memory of the flows, in bytes. */
  get bytes(): number {
    return this.#core.watch.known.bytes;
  }

  /** Why the view has ended by itself; `undefined` while it is alive, and after `close`. */
  get failure(): unknown {
    return this.#core.failure?.reason;
  }

  /**
   * Settles when the view has ended: rejects with `failure`, which is the signal's reason after an abort and a ClosedError after the
   * Conntrack was closed; resolves after `close`. You may ignore it.
   */
  get closed(): Promise<void> {
    return this.#core.closed;
  }

  /** Every flow, as it is now. Changing the table while iterating is safe; flows that are new meanwhile may or may not be included. */
  [Symbol.iterator](): IterableIterator<Flow> {
    return this.list();
  }

  /** The flows that match now, without asking the kernel. @throws ValueError */
  *list(filter: FilterInput = {}): IterableIterator<Flow> {
    const wanted = compileFilter(readFilter(filter), Date.now);
    const { known } = this.#core.watch;
    const view = createFlowView();
    for (const record of known.records()) {
      if (known.read(record, view) && (!wanted || wanted(view))) yield this.#core.reader.read(view);
    }
  }

  /**
   * The current flow with this original tuple, found equally fast in a view of any size; `undefined` if there is none, or only one with
   * another id than `key.id`. A `Flow` is a key, too. @throws ValueError, also for a key without `original`
   */
  get(key: FlowKeyInput): Flow | undefined {
    const { id, ...named } = toFlowKey(key);
    if (!named.original)
      throw new ValueError('a view finds flows by their original tuple', {
        hint: 'give original, or ask the table: conntrack.get',
      });
    const { known } = this.#core.watch;
    const view = createFlowView();
    const message = new MessageWriter();
    message.begin(0, 0, 0, named.family);
    putFlowKey(message, named);
    message.end();
    view.decode(message.bytes, 0, message.length);
    const record = known.lookUp(view);
    if (record === 0 || !known.read(record, view)) return undefined;
    return id === undefined || view.be32(S.id) === id ? this.#core.reader.read(view) : undefined;
  }

  /**
   * How many flows match now. Makes no objects and yields to the event loop: flows that appear, change or disappear meanwhile may or may
   * not count. @throws ValueError
   */
  async count(filter: FilterInput = {}): Promise<number> {
    const wanted = compileFilter(readFilter(filter), Date.now);
    if (!wanted) return this.size;
    const { known } = this.#core.watch;
    const view = createFlowView();
    const slice = new TimeSlice();
    const records = known.records();
    let count = 0;
    for (let n = 0; n < records.length; n++) {
      if (known.read(records[n]!, view) && wanted(view)) count++;
      const pause = (n & (CLOCK_EVERY - 1)) === 0 ? slice.pause() : undefined;
      if (pause) await pause;
    }
    return count;
  }

  /**
   * Calls `listener` with every change from now on; a listener added twice is called twice. @returns a function that ends the
   * subscription. @throws ValueError
   */
  subscribe(listener: LiveListener): () => void {
    checkListener(listener);
    return this.#core.subscribe(listener, this);
  }

  /** The process may end while this view is open. @returns the view */
  unref(): this {
    this.#core.watch.unref();
    return this;
  }

  /** Undoes `unref`. @returns the view */
  ref(): this {
    this.#core.watch.ref();
    return this;
  }

  /** Ends the view, which keeps its contents. Idempotent. */
  close(): void {
    this.#core.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/**
 * The object that the event loop keeps alive. The program's view is another object, so that the garbage collector notices when it has
 * been dropped.
 */
class LiveCore implements Ending {
  readonly watch: EventWatch;
  readonly reader = new FlowReader();
  readonly closed: Promise<void>;
  lost = 0;
  failure: { readonly reason: unknown } | undefined;
  readonly #subscriptions = new Set<Subscription>();
  readonly #onEnd: (() => void)[] = [];
  #settleClosed!: { readonly resolve: () => void; readonly reject: (reason: unknown) => void };
  #ended = false;

  constructor(watch: EventWatch) {
    this.watch = watch;
    this.closed = new Promise((resolve, reject) => {
      this.#settleClosed = { resolve, reject };
    });
    this.closed.catch(() => {}); // whether somebody looks at it is the program's affair
  }

  /** Settles when the list is complete. @throws SystemError, PlatformError, what ends the view */
  async start(): Promise<void> {
    const complete = new Promise<void>((resolve, reject) => {
      this.closed.then(resolve, reject);
      this.watch.start({
        event: (view) => this.#changed(view),
        ready: resolve,
        lost: (loss) => this.#lose(loss),
        failed: (reason) => this.end(reason),
      });
    });
    await complete;
  }

  subscribe(listener: LiveListener, live: LiveFlows): () => void {
    const subscription = { listener, live };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  /** Idempotent. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.watch.close();
    this.#subscriptions.clear();
    if (this.failure) this.#settleClosed.reject(this.failure.reason);
    else this.#settleClosed.resolve();
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  /** Ends the view with an error. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.failure = { reason };
    this.close();
  }

  /** Calls back when the view has ended. */
  onEnd(callback: () => void): void {
    if (this.#ended) callback();
    else this.#onEnd.push(callback);
  }

  #changed(view: View): void {
    if (this.#subscriptions.size === 0) return; // nobody to make an object for
    this.#tell(toFlowEvent(view, this.reader));
  }

  #lose({ events, at }: EventLoss): void {
    this.lost += events;
    this.#tell({ type: 'LOST', events, at });
  }

  #tell(change: LiveChange): void {
    for (const { listener } of this.#subscriptions)
      try {
        listener(change);
      } catch (error) {
        throwLater(error);
      }
  }
}

/** The event in a view. */
export function toFlowEvent(view: View, reader: FlowReader, program?: EventProgram): FlowEvent {
  return flowEvent(view, view.has(S.timestampEvent) ? view.be64(S.timestampEvent) : undefined, reader.read(view), program);
}
