// LiveFlows: the flows of a table, always as they are now, with notifications of every change.

import { type EventProgram, type FlowEvent, flowEvent } from '../ctnetlink/event.js';
import { S } from '../ctnetlink/fields.js';
import { compileFilter } from '../ctnetlink/filter.js';
import { type Filter, toFlowFilter } from '../ctnetlink/filter-input.js';
import { type Flow, FlowReader } from '../ctnetlink/flow.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { checkListener } from './check-options.js';
import type { EventLoss } from './event-source.js';
import type { EventWatch } from './event-watch.js';

/** What a listener of a live view gets: an event, or word of a loss, which is being repaired. */
export type LiveChange = FlowEvent | { readonly type: 'LOST'; readonly events: number; readonly at: number };

/** Called with each change, when the view already has it. What it throws ends the view. */
export type LiveListener = (change: LiveChange) => void;

/**
 * A live view of the flows that match a filter: the list, then every event, and after a loss of events a comparison with the list
 * again. Flows are kept as the kernel's messages, outside the JavaScript heap, in about 300 bytes each; objects are made when they
 * are asked for. Timeouts and counters are as the last event told them, which is not the present.
 */
export class LiveFlows implements Iterable<Flow>, AsyncDisposable, Disposable {
  readonly #watch: EventWatch;
  readonly #reader = new FlowReader();
  readonly #listeners = new Set<LiveListener>();
  #lost = 0;
  #failure: { readonly reason: unknown } | undefined;
  #onEnd: (() => void)[] = [];
  #onFailure: ((reason: unknown) => void) | undefined;
  #ended = false;

  private constructor(watch: EventWatch) {
    this.#watch = watch;
  }

  /** Settles when the view is complete. @internal */
  static async start(watch: EventWatch, attach: (live: LiveFlows) => void): Promise<LiveFlows> {
    const live = new LiveFlows(watch);
    try {
      attach(live);
    } catch (error) {
      live.close();
      throw error;
    }
    await new Promise<void>((resolve, reject) => {
      live.#onFailure = reject;
      watch.start({
        event: (view) => live.#changed(view),
        ready: resolve,
        lost: (loss) => live.#tellLoss(loss),
        failed: (reason) => live.fail(reason),
      });
    });
    return live;
  }

  /** How many flows there are now. */
  get size(): number {
    return this.#watch.known.size;
  }

  /** Events that were lost and made up for until now. */
  get lost(): number {
    return this.#lost;
  }

  /** Bytes of memory that the flows take. */
  get bytes(): number {
    return this.#watch.known.bytes;
  }

  /** Why the view has ended by itself; `undefined` while it is alive, and after `close`. */
  get failure(): unknown {
    return this.#failure?.reason;
  }

  /** Every flow, as it is now. Changing the table while iterating is safe; whether what is new then is shown is not said. */
  [Symbol.iterator](): IterableIterator<Flow> {
    return this.list();
  }

  /** The flows that match now, without asking the kernel. @throws ValueError */
  *list(filter: Filter = {}): IterableIterator<Flow> {
    const wanted = compileFilter(toFlowFilter(filter));
    const { known } = this.#watch;
    const view = createFlowView();
    for (const record of known.records()) {
      if (known.read(record, view) && (!wanted || wanted(view))) yield this.#reader.read(view);
    }
  }

  /** How many flows match now. Makes no objects. @throws ValueError */
  count(filter: Filter = {}): number {
    const wanted = compileFilter(toFlowFilter(filter));
    if (!wanted) return this.size;
    const { known } = this.#watch;
    const view = createFlowView();
    let count = 0;
    for (const record of known.records()) if (known.read(record, view) && wanted(view)) count++;
    return count;
  }

  /** Calls `listener` with every change from now on. @returns what ends that. @throws ValueError */
  subscribe(listener: LiveListener): () => void {
    checkListener(listener);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ends the view; it stays as it was. Idempotent. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch.close();
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Ends the view with an error. @internal */
  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#failure = { reason };
    this.#onFailure?.(reason);
    this.close();
  }

  /** Calls back when the view has ended. @internal */
  onEnd(callback: () => void): void {
    if (this.#ended) callback();
    else this.#onEnd.push(callback);
  }

  #changed(view: View): void {
    if (this.#listeners.size === 0) return; // nobody to make an object for
    this.#tell(toFlowEvent(view, this.#reader));
  }

  #tellLoss(loss: EventLoss): void {
    this.#lost += loss.events;
    this.#tell({ type: 'LOST', events: loss.events, at: loss.at });
  }

  #tell(change: LiveChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** The event in a view. */
export function toFlowEvent(view: View, reader: FlowReader, program?: EventProgram): FlowEvent {
  return flowEvent(view, view.has(S.timestampEvent) ? view.be64(S.timestampEvent) : undefined, reader.read(view), program);
}
