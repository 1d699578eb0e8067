// TableTracker: what a watcher has been told of a table, so that a list can stand in for events: those before the watch, and those
// that were lost. Events are applied as they come; a list, taken while more events come, supplies the rest.
//
// Why a list cannot contradict events: before a batch of a dump is looked at, all events that were sent until then are applied
// (`beginBatch`). So what the events of this list's time say of an entry is as new as the batch, or newer, and the batch is heeded
// only for entries of which they say nothing. Entries that the dump does not show, and no event either, are gone (docs/kernel.md 6.4).

import { eventType } from '../ctnetlink/event-type.js';
import type { FlowPredicate } from '../ctnetlink/filter.js';
import { ORIGIN_INITIAL, ORIGIN_RESYNC, type Origin, type View } from '../ctnetlink/view.js';
import { EntryStore } from './entry-store.js';

/** The part of a table that a tracker needs. */
export interface TrackedTable {
  /** Slot of the entry's id. */
  readonly id: number;
  /** What tells entries of one first tuple apart that can exist side by side. */
  key(view: View): number;
  createView(): View;
  /** Whether a listed entry is on its way out: its end has been told, or is being told right now. */
  isDying(view: View): boolean;
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

/** Entries found to be gone that are shown before the watcher may ask for a pause. */
const AT_ONCE = 512;

/** In a record's mark: gone, but kept until the list is over, so that an older batch does not bring it back. */
const GONE = 0x80000000;
/** In a record's mark: known from a list. The event that told of its beginning may still come: it is the kernel's second step. */
const LISTED = 0x40000000;
const FLAGS = (GONE | LISTED) >>> 0;

export class TableTracker {
  readonly #table: TrackedTable;
  readonly #wanted: FlowPredicate | undefined;
  readonly #show: (view: View) => void;
  readonly #onlyKnown: boolean;
  readonly #store = new EntryStore();
  readonly #before: View;
  #list: ListReason | undefined;
  /** Number of the current list, in the mark of every record that it or an event since its beginning touched. */
  #generation = 0;
  #missed = false;
  /** Events shown that the kernel did not send, since the last list ended. */
  #supplied = 0;

  /**
   * `show` gets every event that the watcher shall see. With `onlyKnown` an entry whose beginning the watcher was not told of has no
   * end, and its first update is its beginning: for those who keep what they are told. Without it what the kernel sends is shown.
   */
  constructor(table: TrackedTable, wanted: FlowPredicate | undefined, show: (view: View) => void, onlyKnown = false) {
    this.#onlyKnown = onlyKnown;
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

  /** The record of the entry that a message names by its first tuple, and by what else `key` reads; 0 when it is not known. */
  lookUp(view: View): number {
    const record = this.#find(view);
    return record === 0 || this.#isGone(record) ? 0 : record;
  }

  /** Events have been lost: until the next list is over, an entry that is not known may be one whose beginning was lost. */
  missed(): void {
    this.#missed = true;
  }

  /**
   * Applies an event, and shows it when it is wanted. What is known here is what the watcher was told, so an entry that was shown
   * stays known until its end, and its end is shown, even where later events are not wanted (`-m`, `-l`).
   */
  event(view: View): void {
    const record = this.#current(view);
    const known = record !== 0 && !this.#isGone(record);
    const wanted = this.#wanted?.(view) ?? true;
    const type = eventType(view);
    if (type === 2) this.#ended(view, record, known, wanted);
    else if (!wanted)
      return; // an event need not have every attribute of the entry: what a list says of it still counts
    else if (type === 0 && known && !this.#missed && (this.#store.mark(record) & LISTED) !== 0) {
      this.#mark(record, 0); // the list was faster than the event: it has been shown, as new or newer
    } else {
      this.#mark(this.#keep(view), 0);
      if (!known && type === 1) this.#beginning(view);
      this.#show(view);
    }
  }

  /** An update of an entry that the watcher has not been told of is its beginning, where a list is there to tell beginnings. */
  #beginning(view: View): void {
    if (this.#list === 'initial') view.becomeEvent(0, ORIGIN_INITIAL);
    else if (this.#missed || this.#onlyKnown || this.#list === 'resync') {
      view.becomeEvent(0, ORIGIN_RESYNC);
      this.#supplied++;
    }
  }

  #ended(view: View, record: number, known: boolean, wanted: boolean): void {
    if (this.#list) this.#mark(record !== 0 ? record : this.#keep(view), GONE);
    else if (known) this.#store.remove(record);
    // Before the watcher was told of it by the list, an entry that is gone never was.
    if (known || (wanted && !this.#onlyKnown && this.#list !== 'initial')) this.#show(view);
  }

  /**
   * Lists the table, and shows what the watcher has not been told. `catchUp` must apply all events that were sent until now;
   * `settle` may wait for the watcher, but must apply none.
   * @returns how many entries were shown that no event told of
   */
  async list(
    reason: ListReason,
    catchUp: () => void | Promise<void>,
    settle: () => void | Promise<void> = () => {},
  ): Promise<number> {
    this.#list = reason;
    this.#missed = false;
    this.#generation = (this.#generation + 1) & ~FLAGS;
    const show = (view: View, type: 0 | 1 | 2) => {
      if (reason === 'baseline') return;
      view.becomeEvent(type, ORIGINS[reason]);
      this.#supplied++;
      this.#show(view);
    };
    try {
      await this.#table.list({ beginBatch: catchUp, entry: (view) => this.#listed(view, show) });
      await catchUp();
      await this.#sweep(show, settle);
    } finally {
      this.#list = undefined;
    }
    const supplied = this.#supplied;
    this.#supplied = 0;
    return supplied;
  }

  #listed(view: View, show: (view: View, type: 0 | 1) => void): void {
    if (this.#table.isDying(view)) return; // as if it were gone
    const found = this.#find(view);
    if (found !== 0 && (this.#store.mark(found) & ~FLAGS) === this.#generation) return; // events know better
    const record = this.#current(view);
    if (this.#wanted && !this.#wanted(view)) {
      if (record !== 0) this.#mark(record, LISTED); // it was told of, and it is there
      return;
    }
    if (record === 0) {
      this.#mark(this.#keep(view), LISTED);
      show(view, 0);
      return;
    }
    this.#before.decode(this.#store.page(record), this.#store.start(record), this.#store.end(record));
    const differ = this.#table.differ(this.#before, view);
    this.#mark(this.#keep(view), LISTED);
    if (differ) show(view, 1);
  }

  /** What neither the list nor an event has shown since the list began is gone. */
  async #sweep(show: (view: View, type: 2) => void, settle: () => void | Promise<void>): Promise<void> {
    const store = this.#store;
    const rest = store.records().filter((record) => {
      const mark = store.mark(record);
      return (mark & GONE) !== 0 || (mark & ~FLAGS) !== this.#generation;
    });
    for (const [n, record] of rest.entries()) {
      if (n % AT_ONCE === AT_ONCE - 1) await settle();
      if (!this.#isGone(record)) {
        this.#before.decode(store.page(record), store.start(record), store.end(record));
        show(this.#before, 2);
      }
      store.remove(record);
    }
  }

  /**
   * The record of the view's entry; 0 when there is none. Another entry with the same tuple must have ended before this one could
   * begin: its end was missed, and is shown now, ahead of what is to be told of this one.
   */
  #current(view: View): number {
    const record = this.#find(view);
    if (record === 0 || this.#store.id(record) === view.be32(this.#table.id)) return record;
    if (!this.#isGone(record)) {
      this.#before.decode(this.#store.page(record), this.#store.start(record), this.#store.end(record));
      this.#before.becomeEvent(2, ORIGIN_RESYNC);
      this.#supplied++;
      this.#show(this.#before);
    }
    this.#store.remove(record);
    return 0;
  }

  #find(view: View): number {
    return this.#store.find(view.bytes, view.start, this.#table.key(view));
  }

  #keep(view: View): number {
    return this.#store.put(view.bytes, view.start, view.start + view.size, this.#table.key(view), view.be32(this.#table.id));
  }

  #mark(record: number, flag: number): void {
    this.#store.setMark(record, (this.#generation | flag) >>> 0);
  }

  #isGone(record: number): boolean {
    return (this.#store.mark(record) & GONE) !== 0;
  }
}
