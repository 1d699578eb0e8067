// TableTracker: what a watcher has been told about a table, so that a list can replace events: those before the watch, and those that
// were lost. Events are applied as they arrive; a list, taken while more events arrive, supplies the rest.
//
// Why a list cannot contradict events: before a batch of a dump is read, all events sent by then are applied (`beginBatch`). So whatever
// events say about an entry since the list began is as new as the batch, or newer, and the batch counts only for entries that no such
// event mentions. Entries that neither the dump nor an event shows are gone (docs/kernel.md 6.4).

import { eventType } from '../../ctnetlink/event-type.js';
import type { FlowPredicate } from '../../ctnetlink/filter/compile.js';
import { ORIGIN_INITIAL, ORIGIN_RESYNC, type Origin, type View } from '../../ctnetlink/view.js';
import { billions } from '../../wire/bytes.js';
import { EntryStore } from './entry-store.js';

/** The part of a table that a tracker needs. */
export interface TrackedTable {
  /** Slot of the entry's id. */
  readonly id: number;
  /** What distinguishes entries with the same first tuple that can exist side by side. */
  key(view: View): number;
  createView(): View;
  /** Whether a listed entry is about to disappear: its end has been reported, or is being reported right now. */
  isDying(view: View): boolean;
  /** Whether an entry is beside another of its first tuple, which lives on, and is in no list. */
  isClash(view: View): boolean;
  /** Whether an entry changed in what update events report; times, counters and references do not count. */
  differ(before: View, now: View): boolean;
  /**
   * Whether messages with the same first tuple and id certainly belong to two entries: another entry may reuse the id of one that ended.
   */
  areTwo(before: View, now: View): boolean;
  /** Those of its bits that an entry never loses. */
  lasting(view: View): number;
  /** Slots of the time an entry began at, and of the time of an event: nanoseconds since the epoch. */
  readonly times?: { readonly start: number; readonly event: number };
  /** Lists all entries of the filter's family, wanted or not. */
  list(visitor: ListVisitor): Promise<void>;
}

/** What a list calls. */
export interface ListVisitor {
  readonly beginBatch: () => void | Promise<void>;
  readonly entry: (view: View) => void;
  /** Called after every hundred entries or so; if it returns a promise, the list waits for it. Events may be applied meanwhile. */
  readonly pause: () => Promise<void> | undefined;
}

/** What a list also does for its watcher. */
export interface ListSteps {
  /** Applies all events sent by now. */
  catchUp(): void | Promise<void>;
  /** Lets the watcher, and others, have their turn, if it is time. Events may be applied meanwhile. */
  pause?(): Promise<void> | undefined;
}

/** Follows entries for somebody who keeps more about each than its last message, under a number: the slot of its record. */
export interface EntryFollower {
  /** An event told of an entry that is known or new, and `record` has it. */
  changed(record: number, view: View): void;
  /** A list has an entry. `kept`: as the message of `record`; otherwise an event since the beginning of the list told more. */
  listed(record: number, view: View, kept: boolean): void;
  /** An entry has ended; `last` is the event that said so, if there was one. Its slot is free. */
  ended(record: number, last: View | undefined): void;
}

/** How a tracker differs from others. */
export interface TrackerOptions {
  /**
   * An entry whose beginning the watcher was not told of has no end, and its first update is its beginning: for those who keep what they
   * are told. Without it what the kernel sends is shown.
   */
  readonly onlyKnown?: boolean | undefined;
  readonly follower?: EntryFollower | undefined;
  /** Messages are kept without what `View.apart` has: the follower keeps what that says. */
  readonly leavesApart?: boolean | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
}

/** The purpose of a list: to know the table, to show it, or to find what was missed. */
export type ListReason = 'baseline' | 'initial' | 'resync';

const ORIGINS: Readonly<Record<ListReason, Origin>> = {
  baseline: ORIGIN_INITIAL,
  initial: ORIGIN_INITIAL,
  resync: ORIGIN_RESYNC,
};

/** Entries looked at behind a list before the watcher may ask for a pause. */
const AT_ONCE = 16;

/** The kernel puts an entry into the table before it sends the event; not longer than this before, in milliseconds. */
export const LATE_EVENTS = 1000;

/** A flow that began this many seconds after the known NEW event is another flow: normally they are microseconds apart. */
const SOON = 2;

// Notes of a record, of what does not change in an entry.
/** When it began, in nanoseconds: two halves. Both 0: not known. */
const START_HIGH = 0;
const START_LOW = 1;
/** When its NEW event was sent, in seconds; 0: not known. */
const NEW_AT = 2;
/** What `lasting` has been. */
const LASTING = 3;
/** The follower's number; 0: none. */
const SLOT = 4;

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
  readonly #follower: EntryFollower | undefined;
  readonly #now: () => number;
  readonly #leavesApart: boolean;
  readonly #store = new EntryStore();
  readonly #before: View;
  #list: ListReason | undefined;
  /** Entries of a list may still come. */
  #dumping = false;
  /** When the last list ended, in milliseconds. */
  #listedAt = Number.NEGATIVE_INFINITY;
  /** Number of the current list. It is in the mark of every record that this list, or an event since its beginning, has touched. */
  #generation = 0;
  #missed = false;
  /** Events shown that the kernel did not send, since the last list ended. */
  #supplied = 0;

  /** `show` gets every event that the watcher shall see. */
  constructor(
    table: TrackedTable,
    wanted: FlowPredicate | undefined,
    show: (view: View) => void,
    { onlyKnown = false, follower, leavesApart = false, now = () => performance.now() }: TrackerOptions = {},
  ) {
    this.#leavesApart = leavesApart;
    this.#onlyKnown = onlyKnown;
    this.#follower = follower;
    this.#now = now;
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

  /** The follower's number of an entry, 0 at first. It stays with the entry, whatever record has it. */
  slot(record: number): number {
    return this.#store.note(record, SLOT);
  }

  setSlot(record: number, slot: number): void {
    this.#store.setNote(record, SLOT, slot);
  }

  /** When the entry of a record began, in nanoseconds since the epoch; 0 if that is not known. */
  startOf(record: number): bigint {
    const store = this.#store;
    return (BigInt(store.note(record, START_HIGH)) << 32n) | BigInt(store.note(record, START_LOW) >>> 0);
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
    const type = eventType(view);
    const wanted = this.#wanted?.(view) ?? true;
    if (this.#table.isClash(view)) {
      this.#showUnknown(view, wanted);
      return;
    }
    const found = this.#find(view);
    const replaced = found !== 0 && this.#isReplacedBy(view, type, found);
    if (replaced) this.#endMissed(found);
    const record = replaced ? 0 : found;
    const known = record !== 0 && !this.#isGone(record);
    if (type === 2) this.#ended(view, record, known, wanted);
    else if (!wanted)
      return; // an event need not have every attribute of the entry: what a list says of it still counts
    else if (type === 0 && known && (this.#store.mark(record) & LISTED) !== 0) {
      this.#mark(record, 0); // the list was faster than the event: it has been shown, as new or newer
    } else {
      const kept = this.#keep(view, record);
      this.#mark(kept, 0);
      this.#follower?.changed(kept, view);
      if (!known && type === 1) this.#beginning(view, replaced);
      this.#show(view);
    }
  }

  /** An update of an entry that the watcher has not been told of is its beginning, where a list is there to tell beginnings. */
  #beginning(view: View, replaced: boolean): void {
    if (this.#list === 'initial') view.becomeEvent(0, ORIGIN_INITIAL);
    else if (replaced || this.#missed || this.#onlyKnown || this.#list === 'resync') {
      view.becomeEvent(0, ORIGIN_RESYNC);
      this.#supplied++;
    }
  }

  #ended(view: View, record: number, known: boolean, wanted: boolean): void {
    if (known) this.#follower?.ended(record, view);
    if (this.#dumping) this.#mark(record !== 0 ? record : this.#keep(view, 0), GONE);
    else if (record !== 0) this.#store.remove(record);
    if (known) this.#show(view);
    else this.#showUnknown(view, wanted);
  }

  /** Before the watcher was told of it by the list, an entry that is gone never was. */
  #showUnknown(view: View, wanted: boolean): void {
    if (wanted && !this.#onlyKnown && this.#list !== 'initial') this.#show(view);
  }

  /** Lists the table, and shows what the watcher has not been told. @returns how many entries were shown that no event told of */
  async list(reason: ListReason, { catchUp, pause = () => undefined }: ListSteps): Promise<number> {
    this.#list = reason;
    this.#missed = false;
    this.#generation = (this.#generation + 1) & ~FLAGS;
    const show = (view: View, type: 0 | 1 | 2) => {
      if (reason !== 'baseline') this.#supply(view, type, ORIGINS[reason]);
    };
    try {
      this.#dumping = true;
      await this.#table.list({ beginBatch: catchUp, entry: (view) => this.#listed(view, show), pause });
      await catchUp();
      this.#dumping = false;
      await this.#sweep(show, pause);
    } finally {
      this.#dumping = false;
      this.#list = undefined;
      this.#listedAt = this.#now();
    }
    const supplied = this.#supplied;
    this.#supplied = 0;
    return supplied;
  }

  #listed(view: View, show: (view: View, type: 0 | 1) => void): void {
    if (this.#table.isDying(view)) return; // as if it were gone
    const found = this.#find(view);
    if (found !== 0 && this.#isOfThisList(this.#store.mark(found))) {
      // Events know better, but for what they do not tell: counters.
      if (this.#follower && !this.#isGone(found) && this.#store.id(found) === view.be32(this.#table.id))
        this.#follower.listed(found, view, false);
      return;
    }
    const before = found !== 0 ? this.#look(found) : undefined;
    const replaced = before !== undefined && this.#isReplacedByListed(view, found, before);
    if (replaced) this.#endMissed(found);
    const record = replaced ? 0 : found;
    if (this.#wanted && !this.#wanted(view)) {
      if (record !== 0) this.#mark(record, LISTED); // it was told of, and it is there
      return;
    }
    const differ = record !== 0 && this.#table.differ(before!, view);
    const kept = this.#keep(view, record);
    this.#mark(kept, LISTED);
    this.#follower?.listed(kept, view, true);
    if (record === 0) {
      // The watcher knew of another, whatever the list is for.
      if (replaced) this.#supply(view, 0, ORIGIN_RESYNC);
      else show(view, 0);
    } else if (differ) show(view, 1);
  }

  /** What neither the list nor an event has shown since the list began is gone. */
  async #sweep(show: (view: View, type: 2) => void, pause: () => Promise<void> | undefined): Promise<void> {
    const store = this.#store;
    const records = store.records();
    for (let n = 0; n < records.length; n++) {
      if (n % AT_ONCE === AT_ONCE - 1) {
        const pausing = pause();
        if (pausing) await pausing;
      }
      const record = records[n]!;
      if (!store.isInUse(record)) continue;
      const mark = store.mark(record);
      if ((mark & GONE) === 0) {
        if (this.#isOfThisList(mark)) continue;
        this.#follower?.ended(record, undefined);
        show(this.#look(record), 2);
      }
      store.remove(record);
    }
  }

  /**
   * Whether the entry of a record has ended and an event belongs to another with the same first tuple, which began after the end of the
   * first. Ids differ, or, where the end may have been missed, something else that never changes.
   */
  #isReplacedBy(view: View, type: 0 | 1 | 2, record: number): boolean {
    if (this.#store.id(record) !== view.be32(this.#table.id)) return true;
    const mark = this.#store.mark(record);
    if ((mark & GONE) !== 0) return type !== 2;
    const doubtful = this.#missed || (this.#list === 'resync' && !this.#isOfThisList(mark));
    if (type === 0 && (doubtful || (mark & LISTED) !== 0)) return !this.#isLate(mark) || this.#isProven(view, record);
    return doubtful && this.#isProven(view, record);
  }

  /** The same for an entry of a list, which is newer than all that is known of it. */
  #isReplacedByListed(view: View, record: number, before: View): boolean {
    if (this.#store.id(record) !== view.be32(this.#table.id)) return true;
    // Not so for events: of two that two processors send at the same time, the older one may come last.
    if ((this.#store.note(record, LASTING) & ~this.#table.lasting(view)) !== 0) return true;
    return this.#isProven(view, record, before);
  }

  /** Whether a NEW event may be of the listed entry, and late. */
  #isLate(mark: number): boolean {
    if ((mark & LISTED) === 0 || !this.#isOfThisList(mark)) return false;
    return this.#list !== undefined || this.#now() - this.#listedAt < LATE_EVENTS;
  }

  /** Whether a view of the same id is certainly of another entry than a record; `before`: a view of the record, if there is one. */
  #isProven(view: View, record: number, before?: View): boolean {
    const store = this.#store;
    const { times } = this.#table;
    if (times && view.has(times.start)) {
      const high = view.high32(times.start);
      const low = view.low32(times.start);
      const known = (store.note(record, START_HIGH) | store.note(record, START_LOW)) !== 0;
      if (known && (store.note(record, START_HIGH) !== high || store.note(record, START_LOW) !== low)) return true;
      if (store.note(record, NEW_AT) !== 0 && billions(high, low) > store.note(record, NEW_AT) + SOON) return true;
    }
    return this.#table.areTwo(before ?? this.#look(record), view);
  }

  /** The watcher was told of an entry whose end was missed. */
  #endMissed(record: number): void {
    if (!this.#isGone(record)) {
      this.#follower?.ended(record, undefined);
      this.#supply(this.#look(record), 2, ORIGIN_RESYNC);
    }
    this.#store.remove(record);
  }

  /** Shows an event that the kernel did not send. */
  #supply(view: View, type: 0 | 1 | 2, origin: Origin): void {
    view.becomeEvent(type, origin);
    this.#supplied++;
    this.#show(view);
  }

  /** A view of a record, until the next one. */
  #look(record: number): View {
    const store = this.#store;
    this.#before.decode(store.page(record), store.start(record), store.end(record));
    return this.#before;
  }

  #find(view: View): number {
    return this.#store.find(view.bytes, view.start, this.#table.key(view));
  }

  /** Keeps the message of a view, in place of that of `before`, the record of its name; 0: there is none. */
  #keep(view: View, before: number): number {
    const store = this.#store;
    const { start, size } = view;
    const { bytes } = view;
    const id = view.be32(this.#table.id);
    const record = store.put(
      bytes,
      start,
      start + size,
      this.#table.key(view),
      id,
      before,
      this.#leavesApart ? view.apart : undefined,
    );
    const { times } = this.#table;
    store.setNote(record, LASTING, store.note(record, LASTING) | this.#table.lasting(view));
    if (times && view.has(times.start)) {
      store.setNote(record, START_HIGH, view.high32(times.start));
      store.setNote(record, START_LOW, view.low32(times.start));
    } else if (times && view.created && view.has(times.event))
      store.setNote(record, NEW_AT, billions(view.high32(times.event), view.low32(times.event)));
    return record;
  }

  #mark(record: number, flag: number): void {
    this.#store.setMark(record, (this.#generation | flag) >>> 0);
  }

  /** Whether a mark was made by the current list, or the last one, or by an event since it began. */
  #isOfThisList(mark: number): boolean {
    return (mark & ~FLAGS) === this.#generation;
  }

  #isGone(record: number): boolean {
    return (this.#store.mark(record) & GONE) !== 0;
  }
}
