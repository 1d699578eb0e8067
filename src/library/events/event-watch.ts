// EventWatch: events of one table, optionally with a list before them and repairs after losses.

import { isOfType } from '../../ctnetlink/event-type.js';
import { X } from '../../ctnetlink/expectation-fields.js';
import { S } from '../../ctnetlink/fields.js';
import { compileFilter, type FlowPredicate } from '../../ctnetlink/filter/compile.js';
import { type FlowFilter, MATCH_ALL } from '../../ctnetlink/filter/condition.js';
import { eventProgram } from '../../ctnetlink/filter/event-program.js';
import { requiredFamily } from '../../ctnetlink/filter/kernel-plan.js';
import { areTwoFlows, isClash, lastingStatus } from '../../ctnetlink/flow-identity.js';
import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import { IPS_DYING } from '../../ctnetlink/uapi/nf-conntrack-common.js';
import { createExpectationView, createFlowView, type View } from '../../ctnetlink/view.js';
import type { NetworkNamespace } from '../../wire/netns.js';
import type { OpenTransport } from '../../wire/transport.js';
import type { ScanOptions } from '../flow-dumps.js';
import type { ConntrackTable } from '../table.js';
import { TimeSlice } from '../time-slice.js';
import { ALL_EXPECTATION_EVENTS, ALL_FLOW_EVENTS, type EventLoss, EventSource } from './event-source.js';
import { type EntryFollower, LATE_EVENTS, TableTracker, type TrackedTable } from './table-tracker.js';

/** Pause between repairs, in milliseconds, so that a steady overload leaves time for events. */
const REPAIR_PAUSE = 1000;

/** What to watch, and how to make up for lost events. */
export interface EventWatchOptions {
  readonly table: 'conntrack' | 'expect';
  readonly namespace?: NetworkNamespace | undefined;
  /** What carries datagrams from the kernel. Default: a netlink socket. */
  readonly transport?: OpenTransport | undefined;
  /** Multicast groups of the events that are shown; all of the table by default. A watch that lists hears the others as well. */
  readonly groups?: number | undefined;
  /**
   * Multicast groups that a watch that lists hears, if not all of its table. Without updates it costs less, and what it knows of an entry is
   * as of its beginning or of a list.
   */
  readonly heard?: number | undefined;
  /** Bytes to ask for as receive buffer; the kernel doubles it. Default: that of `EventSource`. */
  readonly receiveBuffer?: number | undefined;
  /** Events that follow each other within this time, in milliseconds, are read together. Default: that of `EventSource`. */
  readonly rest?: number | undefined;
  /** Flows that are wanted. */
  readonly filter?: FlowFilter;
  /** Show what is in the table first. */
  readonly initial?: boolean;
  /** After a loss, list the table and show what was missed. */
  readonly resync?: boolean;
  /** The caller's thread never waits for the kernel while the table is listed. */
  readonly background?: boolean;
  /** Show no end and no update of an entry that was not shown, as in TableTracker. Useful with `initial` and `resync`. */
  readonly onlyKnown?: boolean;
  /** Learns of every entry that is known. Useful with `initial`, `resync` and `onlyKnown`. */
  readonly follower?: EntryFollower;
  /** What is known is without `View.apart`: the follower keeps what that says. */
  readonly leavesApart?: boolean;
}

/** Milliseconds of events that are applied at once before a part of a list. */
const AT_ONCE = 4;

/** How often `finish` tries to repair losses that continue. */
const LAST_REPAIRS = 5;

/** What a watch calls. */
export interface EventWatchVisitor {
  /** The next events arrived together: a good moment to look at the clock. */
  readonly beginBatch?: () => void;
  /** An event, borrowed. `view.origin` tells those that a list supplied. */
  readonly event: (view: View) => void;
  /** Nothing is waiting: a good moment to flush. */
  readonly idle?: () => void;
  /** The first list is complete. At once without `initial` and `resync`. */
  readonly ready?: () => void;
  readonly lost: (loss: EventLoss) => void;
  /** This many missed events have been shown. */
  readonly repaired?: (shown: number) => void;
  /** The watch has ended by itself. */
  readonly failed: (error: unknown) => void;
}

/** Reports to a visitor what happens in one table, from `open` until `close`. */
export class EventWatch {
  readonly #source: EventSource;
  readonly #options: EventWatchOptions;
  readonly #conntrack: () => ConntrackTable;
  /** Groups of the flow events that are shown. */
  readonly #shown: number | undefined;
  #visitor!: EventWatchVisitor;
  #tracker: TableTracker | undefined;
  #losses = 0;
  #working: Promise<void> = Promise.resolve();
  #repairDue = false;
  /** When the last repair ended, in milliseconds. */
  #repairedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the process goes on as long as this runs. */
  #keeps = true;
  #paused: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #closed = false;

  private constructor(source: EventSource, options: EventWatchOptions, conntrack: () => ConntrackTable) {
    this.#source = source;
    this.#options = options;
    this.#conntrack = conntrack;
    this.#shown = options.table === 'conntrack' ? options.groups : undefined;
  }

  /** Listens from now on. `conntrack` opens the table when a list is needed. @throws SystemError, PlatformError */
  static open(options: EventWatchOptions, conntrack: () => ConntrackTable): EventWatch {
    const { table, receiveBuffer } = options;
    const all = options.heard ?? (table === 'expect' ? ALL_EXPECTATION_EVENTS : ALL_FLOW_EVENTS);
    const tracks = options.initial || options.resync;
    const source = EventSource.open({
      groups: tracks ? all : (options.groups ?? all),
      receiveBuffer,
      rest: options.rest,
      namespace: options.namespace,
      transport: options.transport,
      filter: table === 'conntrack' && options.filter ? eventProgram(options.filter, { tracked: tracks }).bytes : undefined,
    });
    return new EventWatch(source, options, conntrack);
  }

  /** Bytes in the receive buffer, as the kernel counts them. */
  get receiveBuffer(): number {
    return this.#source.receiveBuffer;
  }

  /** Calls `visitor` until `close`, or until it fails. @throws SystemError, PlatformError when that cannot be */
  start(visitor: EventWatchVisitor): void {
    this.#visitor = visitor;
    const { initial, resync, table, filter = MATCH_ALL } = this.#options;
    const wanted = table === 'conntrack' ? compileFilter(filter, Date.now) : undefined;
    const view = table === 'expect' ? createExpectationView() : createFlowView();
    const tracker = initial || resync ? this.#track(wanted) : undefined;
    this.#tracker = tracker;
    this.#source.start({
      ...(visitor.beginBatch ? { beginBatch: visitor.beginBatch } : {}),
      ...(visitor.idle ? { idle: visitor.idle } : {}),
      message: (bytes, at, end) => {
        view.decode(bytes, at, end);
        if (this.#tracker) this.#tracker.event(view);
        else if (isOfType(view, this.#shown) && (!wanted || wanted(view))) visitor.event(view);
      },
      overrun: () => {
        if (resync) this.#tracker?.missed();
      },
      lost: (loss) => this.#lost(loss),
      failed: (error) => this.#fail(error),
    });
    if (!tracker) {
      visitor.ready?.();
      return;
    }
    this.#working = this.#list(tracker, initial ? 'initial' : 'baseline').then(() => {
      if (this.#closed) return;
      // From here on events are all there is to know, but for those of the list's last entries, which may be on their way.
      if (!resync) this.#setTimer(() => (this.#tracker = undefined), LATE_EVENTS);
      visitor.ready?.();
    });
  }

  /** What the watcher has been told of: what is in the table. For watches with `resync`. */
  get known(): TableTracker {
    if (!this.#tracker) throw new Error('this watch keeps no table');
    return this.#tracker;
  }

  /** Lists the table now, after what is in progress, and makes up for what events have not told. For watches with `resync`. */
  sweep(): Promise<void> {
    const { known } = this;
    this.#working = this.#working.then(async () => {
      if (this.#closed) return;
      if (this.#repairDue) await this.#repair();
      else await this.#list(known, 'resync');
    });
    return this.#working;
  }

  /** Applies all events sent by now, unless the watch is paused. */
  drain(): void {
    if (this.#closed || this.#paused) return;
    this.#visitor.beginBatch?.();
    this.#source.drain();
  }

  /** The same, but no longer than so many milliseconds. @returns whether all were applied */
  drainFor(milliseconds: number): boolean {
    if (this.#closed || this.#paused) return false;
    this.#visitor.beginBatch?.();
    return this.#source.drainFor(milliseconds);
  }

  /** Reads no more until `resume`. */
  pause(): void {
    if (this.#paused || this.#closed) return;
    let resolve!: () => void;
    const promise = new Promise<void>((settle) => (resolve = settle));
    this.#paused = { promise, resolve };
    this.#source.pause();
  }

  resume(): void {
    const paused = this.#paused;
    this.#paused = undefined;
    this.#source.resume();
    paused?.resolve();
  }

  /** Shows everything that has happened so far, repairs losses, and closes. */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#working;
    await this.#drainAll();
    for (let round = 0; this.#repairDue && !this.#closed && round < LAST_REPAIRS; round++) {
      clearTimeout(this.#timer);
      await this.#repair();
      await this.#drainAll();
    }
    this.close();
  }

  async #drainAll(): Promise<void> {
    while (!this.#closed && !this.#source.drain()) await this.#pause()?.promise;
  }

  /** Reports losses not reported yet. For the end, if not everything was read. */
  reportLoss(): void {
    if (!this.#closed) this.#source.reportLoss();
  }

  /** The process may end while this runs; a list in progress is completed. */
  unref(): void {
    this.#keeps = false;
    this.#source.unref();
    this.#timer?.unref();
  }

  /** Undoes `unref`. */
  ref(): void {
    this.#keeps = true;
    this.#source.ref();
    this.#timer?.ref();
  }

  #setTimer(work: () => void, milliseconds: number): void {
    this.#timer = setTimeout(work, milliseconds);
    if (!this.#keeps) this.#timer.unref();
  }

  /** Idempotent; may be called from a visitor. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source.close();
    this.#paused?.resolve();
  }

  #track(wanted: FlowPredicate | undefined): TableTracker {
    const { table, filter = MATCH_ALL, onlyKnown, follower, leavesApart, background = false } = this.#options;
    const tracked =
      table === 'expect'
        ? expectationTable(this.#conntrack, background)
        : // A follower has the table listed again and again.
          flowTable(this.#conntrack, requiredFamily(filter), { background, recurrent: follower !== undefined });
    const show = (view: View) => {
      if (!this.#closed && isOfType(view, this.#shown)) this.#visitor.event(view);
    };
    return new TableTracker(tracked, wanted, show, { onlyKnown, follower, leavesApart });
  }

  #lost(loss: EventLoss): void {
    this.#losses++;
    this.#visitor.lost(loss);
    if (this.#options.resync) this.#scheduleRepair();
  }

  #scheduleRepair(): void {
    if (this.#repairDue || this.#closed) return;
    this.#repairDue = true;
    const delay = Math.max(0, this.#repairedAt + REPAIR_PAUSE - performance.now());
    this.#setTimer(() => {
      this.#working = this.#working.then(() => this.#repair());
    }, delay);
  }

  async #repair(): Promise<void> {
    const tracker = this.#tracker;
    if (!tracker || this.#closed || !this.#repairDue) return;
    const before = this.#losses;
    const shown = await this.#list(tracker, 'resync');
    this.#repairDue = false;
    this.#repairedAt = performance.now();
    if (this.#closed) return;
    this.#visitor.repaired?.(shown);
    this.#visitor.idle?.();
    // Events were lost during the list, so what it shows about their entries is uncertain.
    if (this.#losses !== before) this.#scheduleRepair();
  }

  async #list(tracker: TableTracker, reason: 'baseline' | 'initial' | 'resync'): Promise<number> {
    const slice = new TimeSlice();
    const catchUp = () => {
      slice.restart();
      return this.#catchUp();
    };
    try {
      const shown = await tracker.list(reason, { catchUp, pause: () => this.#settle(slice) });
      this.#visitor.idle?.();
      return shown;
    } catch (error) {
      if (!this.#closed) this.#fail(error);
      return 0;
    }
  }

  /** Applies all events sent by now; waits while the watch is paused. In a flood of events, others are answered meanwhile. */
  #catchUp(): void | Promise<void> {
    if (this.#closed) throw new WatchClosed();
    if (this.drainFor(AT_ONCE) && !this.#paused) return undefined;
    return this.#catchUpInTurns();
  }

  async #catchUpInTurns(): Promise<void> {
    await this.#source.drainInTurns();
    // What was sent before a pause was told before it, or is still to come.
    for (let paused = this.#pause(); paused; paused = this.#pause()) {
      await paused.promise;
      await this.#source.drainInTurns();
    }
    if (this.#closed) throw new WatchClosed();
  }

  /** Waits while the watch is paused, and lets others have the event loop. */
  #settle(slice: TimeSlice): Promise<void> | undefined {
    const waiting = this.#pause()?.promise ?? slice.pause();
    if (!waiting) return undefined;
    this.#visitor.idle?.();
    return waiting.then(() => {
      if (this.#closed) throw new WatchClosed();
    });
  }

  /** What a pause waits for; a method, since visitors pause and resume. */
  #pause(): { readonly promise: Promise<void> } | undefined {
    return this.#paused;
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#visitor.failed(error);
  }
}

/** Ends a list of a watch that was closed meanwhile. */
class WatchClosed extends Error {}

function flowTable(
  conntrack: () => ConntrackTable,
  family: number,
  options: Pick<ScanOptions, 'background' | 'recurrent'>,
): TrackedTable {
  const filter: FlowFilter = family === AF_UNSPEC ? MATCH_ALL : { kind: 'family', family };
  return {
    id: S.id,
    times: { start: S.timestampStart, event: S.timestampEvent },
    key: (view) => view.be16(S.zone),
    createView: createFlowView,
    differ: flowsDiffer,
    isDying: (view) => (view.be32(S.status) & IPS_DYING) !== 0,
    isClash,
    areTwo: areTwoFlows,
    lasting: lastingStatus,
    list: (visitor) => conntrack().scan(filter, visitor, options),
  };
}

function expectationTable(conntrack: () => ConntrackTable, background: boolean): TrackedTable {
  return {
    id: X.id,
    key: (view) => view.be32(X.id), // the tuple may be expected in several zones, which nothing tells apart
    createView: createExpectationView,
    differ: () => false, // an expectation never changes
    isDying: () => false,
    isClash: () => false,
    areTwo: () => false,
    lasting: () => 0,
    list: (visitor) => conntrack().scanExpectations(AF_UNSPEC, visitor, background),
  };
}

/** What an update event reports; in some events, absent means 0. */
function flowsDiffer(before: View, now: View): boolean {
  return (
    before.be32(S.status) !== now.be32(S.status) ||
    before.be32(S.mark) !== now.be32(S.mark) ||
    before.u8(S.tcpState) !== now.u8(S.tcpState) ||
    before.u8(S.sctpState) !== now.u8(S.sctpState) ||
    before.u8(S.dccpState) !== now.u8(S.dccpState) ||
    labelsDiffer(before, now) ||
    before.stringLength(S.helper) !== now.stringLength(S.helper)
  );
}

function labelsDiffer(before: View, now: View): boolean {
  const words = Math.max(before.length(S.labels), now.length(S.labels)) >> 2;
  for (let word = 0; word < words; word++) if (before.labelWord(S.labels, word) !== now.labelWord(S.labels, word)) return true;
  return false;
}
