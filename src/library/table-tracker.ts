// TableTracker: what a watcher has been told of a table, so that a list can stand in for events: those before the watch, and those
// that were lost. Events are applied as they come; a list, taken while more events come, supplies the rest.
//
// Why a list cannot contradict events: before a batch of a dump is looked at, all events that were sent until then are applied
// (`beginBatch`). So what the events of this list's time say of an entry is as new as the batch, or newer, and the batch is heeded
// only for entries of which they say nothing. Entries that the dump does not show, and no event either, are gone (ctnetlink.md 6.4).

import { eventType } from '../ctnetlink/event-type.js';
import type { FlowPredicate } from '../ctnetlink/filter.js';
import { ORIGIN_INITIAL, ORIGIN_RESYNC, type Origin, type View } from '../ctnetlink/view.js';
import { EntryStore } from './entry-store.js';

/** The part of a table that a tracker needs. */
export interface TrackedTable {
  /** Slot of the entry's id. */
  readonly id: number;
  createView(): View;
  /** Whether an entry changed in what update events tell; times, counters and references do not count. */
  differ(before: View, now: View): boolean;
  /** Lists all entries of the filter's family, wanted or not. */
  list(visitor: { readonly beginBatch: () => void | Promise<void>; readonly entry: (view: View) => void }): Promise<void>;
}

/** Why the table is listed: to know it, to show it, or to find what was missed. */
export type ListReason = 'baseline' | 'initial' | 'resync';

const ORIGINS: Readonly<Record<ListReason, Origin>> = {
  baseline: ORIGIN_INITIAL,
  initial: ORIGIN_INITIAL,
  resync: ORIGIN_RESYNC,
};

/** In a record's mark: gone, but kept until the list is over, so that an older batch does not bring it back. */
const GONE = 0x80000000;

export class TableTracker {
  readonly #table: TrackedTable;
  readonly #wanted: FlowPredicate | undefined;
  readonly #show: (view: View) => void;
  readonly #store = new EntryStore();
  readonly #before: View;
  #list: ListReason | undefined;
  /** Number of the current list, in the mark of every record that it or an event since its beginning touched. */
  #generation = 0;

  /** `show` gets every event that the watcher shall see. */
  constructor(table: TrackedTable, wanted: FlowPredicate | undefined, show: (view: View) => void) {
    this.#table = table;
    this.#wanted = wanted;
    this.#show = show;
    this.#before = table.createView();
  }

  /** Entries known. */
  get size(): number {
    return this.#store.size;
  }

  /** Bytes of memory in use for them. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** What is known now, for `read`. */
  records(): Int32Array {
    return this.#store.records();
  }

  /** Looks at a record of `records()`. @returns false when the entry has gone since then */
  read(record: number, view: View): boolean {
    const store = this.#store;
    if (!store.isInUse(record) || this.#isGone(record)) return false;
    view.decode(store.page(record), store.start(record), store.end(record));
    return true;
  }

  /** Applies an event, and shows it when it is wanted. */
  event(view: View): void {
    const record = this.#find(view);
    const known = record !== 0 && !this.#isGone(record);
    const type = eventType(view);
    const wanted = this.#wanted?.(view) ?? true;
    if (type === 2 || !wanted) {
      if (this.#list) this.#mark(record !== 0 ? record : this.#keep(view), GONE);
      else if (known) this.#store.remove(record);
      // Before the watcher was told of it by the list, an entry that is gone never was.
      if (wanted && (known || this.#list !== 'initial')) this.#show(view);
      return;
    }
    this.#mark(this.#keep(view), 0);
    if (!known && type === 1 && this.#list === 'initial') view.becomeEvent(0, ORIGIN_INITIAL);
    this.#show(view);
  }

  /**
   * Lists the table, and shows what the watcher has not been told. `catchUp` must apply all events that were sent until now.
   * @returns how many entries were shown
   */
  async list(reason: ListReason, catchUp: () => void | Promise<void>): Promise<number> {
    this.#list = reason;
    this.#generation = (this.#generation + 1) & ~GONE;
    let shown = 0;
    const show = (view: View, type: 0 | 1 | 2) => {
      if (reason === 'baseline') return;
      view.becomeEvent(type, ORIGINS[reason]);
      this.#show(view);
      shown++;
    };
    try {
      await this.#table.list({ beginBatch: catchUp, entry: (view) => this.#listed(view, show) });
      await catchUp();
      this.#sweep(show);
    } finally {
      this.#list = undefined;
    }
    return shown;
  }

  #listed(view: View, show: (view: View, type: 0 | 1) => void): void {
    const record = this.#find(view);
    if (record !== 0 && (this.#store.mark(record) & ~GONE) === this.#generation) return; // events know better
    if (this.#wanted && !this.#wanted(view)) {
      if (record !== 0) this.#mark(record, GONE);
      return;
    }
    if (record === 0) {
      this.#mark(this.#keep(view), 0);
      show(view, 0);
      return;
    }
    this.#before.decode(this.#store.page(record), this.#store.start(record), this.#store.end(record));
    const differ = this.#table.differ(this.#before, view);
    this.#mark(this.#keep(view), 0);
    if (differ) show(view, 1);
  }

  /** What neither the list nor an event has shown since the list began is gone. */
  #sweep(show: (view: View, type: 2) => void): void {
    const store = this.#store;
    const rest: number[] = [];
    store.forEach((record) => {
      const mark = store.mark(record);
      if ((mark & GONE) !== 0 || mark !== this.#generation) rest.push(record);
    });
    for (const record of rest) {
      if (!this.#isGone(record)) {
        this.#before.decode(store.page(record), store.start(record), store.end(record));
        show(this.#before, 2);
      }
      store.remove(record);
    }
  }

  #find(view: View): number {
    return this.#store.find(view.bytes, view.start, view.be32(this.#table.id));
  }

  #keep(view: View): number {
    return this.#store.put(view.bytes, view.start, view.start + view.size, view.be32(this.#table.id));
  }

  #mark(record: number, flag: number): void {
    this.#store.setMark(record, (this.#generation | flag) >>> 0);
  }

  #isGone(record: number): boolean {
    return (this.#store.mark(record) & GONE) !== 0;
  }
}
