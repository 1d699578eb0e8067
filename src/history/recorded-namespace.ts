// RecordedNamespace: the flows of one network namespace on their way into the record. Events tell beginnings and ends, lists what events
// did not tell; each end becomes a row of a batch, with how its times are known.

import { ORIGINAL, S, T } from '../ctnetlink/fields.js';
import { compileFilter, type FlowPredicate, TRACKERS } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import {
  IPS_HW_OFFLOAD,
  IPS_OFFLOAD,
  IPS_SEEN_REPLY,
  NF_NETLINK_CONNTRACK_DESTROY,
  NF_NETLINK_CONNTRACK_NEW,
} from '../ctnetlink/uapi/nf-conntrack-common.js';
import { createFlowView, ORIGIN_KERNEL, type View } from '../ctnetlink/view.js';
import type { EntryFollower, EventWatch, Session, Signal, TimeSlice } from '../library/index.js';
import { belowBillion, billions } from '../wire/bytes.js';
import { OpenFlows } from './open-flows.js';
import { ENDED, OPENED, type RecordBatch, stateSlot } from './record-batch.js';
import {
  COLUMN,
  END_KINDS,
  END_SHIFT,
  type EndKind,
  type EndReason,
  EXPIRY_DELAY,
  type GapReason,
  HOW_CLOCK_SET,
  HOW_INJECTED,
  HOW_OFFLOADED,
  numberOfReason,
  START_KINDS,
  type StartKind,
} from './record-columns.js';

/** The kernel told a beginning by the time of its event: microseconds. */
const EVENT_DELAY = 1000;

/**
 * Events are read together that arrive within this time, in milliseconds: each look for them costs as much as several. They wait in the
 * kernel's buffer, which holds 25,000 of them.
 */
const REST = 50;

/** A period for which the record may lack something. Microseconds since the epoch. */
export interface Gap {
  /** Number of the namespace; absent for that of the recorder. */
  readonly ns?: number | undefined;
  /** All namespaces. */
  readonly everywhere?: boolean;
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
  /** Events that the kernel dropped, if it says so. */
  readonly events?: number | undefined;
  readonly note?: string | undefined;
}

/** What a namespace tells the recorder. */
export interface NamespaceOwner {
  /** Microseconds since the epoch. */
  now(): number;
  /** Where rows go. */
  readonly batch: RecordBatch;
  /** A row was added. */
  added(): void;
  /** A number that no flow in `open` has. */
  nextKey(): number;
  /** Has a flow that the record knows from the last run: its row in `open`. */
  readonly adopt: ((name: string, id: number, start: number | undefined) => AdoptedFlow | undefined) | undefined;
  gap(gap: Gap): void;
  /** Whether events are lost because the writer cannot follow, and why. */
  readonly trouble: GapReason | undefined;
  readonly withId: boolean;
  readonly noDestination: boolean;
  /** Whether the kernel says in the event of an end why a flow ended. */
  readonly tellsReasons: boolean;
}

/** A flow that was open when the last run ended. */
export interface AdoptedFlow {
  readonly key: number;
  readonly start: number;
  readonly slack: number;
  readonly how: number;
}

export class RecordedNamespace implements EntryFollower {
  readonly name: string;
  /** Its number in the record; 0 for that of the recorder. */
  readonly number: number;
  readonly flows = new OpenFlows();
  /** Bytes in the receive buffer, as the kernel counts them. */
  readonly receiveBuffer: number;
  readonly #owner: NamespaceOwner;
  readonly #watch: EventWatch;
  readonly #rest: FlowPredicate | undefined;
  readonly #view = createFlowView();
  /** What arrives now arrived at this time. */
  #at: number;
  /** When nothing was waiting last. */
  #emptyAt: number;
  #ready = false;
  /** A loss that no list has made up for: since when it is so. */
  #lossAt: number | undefined;
  #reconciling = false;
  #lost = 0;

  /** `rest`: the part of the filter that can change in a flow; its end decides. */
  constructor(
    name: string,
    number: number,
    session: Session,
    owner: NamespaceOwner,
    { scope, rest, receiveBuffer, signal }: NamespaceFilter,
  ) {
    this.name = name;
    this.number = number;
    this.#owner = owner;
    this.#rest = rest && compileFilter(rest, Date.now);
    this.#at = owner.now();
    this.#emptyAt = this.#at;
    this.#watch = session.watch(
      { signal },
      {
        table: 'conntrack',
        filter: scope,
        heard: NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY,
        receiveBuffer,
        rest: REST,
        initial: true,
        resync: true,
        onlyKnown: true,
        follower: this,
      },
    );
    this.receiveBuffer = this.#watch.receiveBuffer;
  }

  /** Events that the kernel dropped. */
  get lost(): number {
    return this.#lost;
  }

  /** Everything up to then has been read, but for gaps: microseconds since the epoch; `undefined` before the first list. */
  get completeTo(): number | undefined {
    return this.#ready ? (this.#lossAt ?? this.#emptyAt) : undefined;
  }

  /** Settles with the first list. `failed` hears of the end of the watch, if it comes by itself. */
  start(failed: (reason: unknown) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#watch.start({
        beginBatch: () => {
          this.#at = this.#owner.now();
        },
        event: () => {},
        idle: () => {
          this.#emptyAt = this.#owner.now();
        },
        ready: () => {
          this.#ready = true;
          this.#emptyAt = this.#owner.now();
          resolve();
        },
        lost: ({ events }) => this.#lose(events),
        repaired: () => this.#repaired(),
        failed: (reason) => {
          failed(reason);
          reject(reason);
        },
      });
    });
  }

  /** Compares what is known with a list. */
  async reconcile(): Promise<void> {
    this.#reconciling = true;
    try {
      await this.#watch.sweep();
    } finally {
      this.#reconciling = false;
    }
  }

  /** Applies all events sent by now. */
  drain(): void {
    this.#watch.drain();
  }

  pause(): void {
    this.#watch.pause();
  }

  resume(): void {
    this.#watch.resume();
  }

  /** Reads what has been sent, repairs losses, and ends. */
  finish(): Promise<void> {
    return this.#watch.finish();
  }

  /** Idempotent. */
  close(): void {
    this.#watch.close();
  }

  /** The clock was set: the times of whatever lives now are of both clocks. */
  clockSet(): void {
    const { flows } = this;
    for (let slot = 1; slot < flows.end; slot++) flows.how[slot]! |= HOW_CLOCK_SET;
  }

  /** Hands flows over that began before a time, and that `open` does not have yet. */
  async checkpoint(before: number, slice: TimeSlice): Promise<void> {
    const { flows } = this;
    for (let slot = 1; slot < flows.end; slot++) {
      const record = flows.record[slot]!;
      if (record === 0 || flows.key[slot] !== 0 || flows.start[slot]! > before) continue;
      if (!this.#watch.known.read(record, this.#view)) continue;
      const { batch } = this.#owner;
      const key = this.#owner.nextKey();
      flows.key[slot] = key;
      batch.add(this.#view, OPENED);
      this.#setCommon(slot, this.#view);
      batch.setKey(key);
      batch.setOpen(flows.seen[slot]!, this.#view.be32(S.id) | 0);
      this.#owner.added();
      const pause = slice.pause();
      if (pause) await pause;
    }
  }

  /** Ends all flows, because the namespace has gone: of none of them the end was seen. */
  abandon(): void {
    const { flows } = this;
    this.#at = this.#owner.now();
    for (let slot = 1; slot < flows.end; slot++) {
      const record = flows.record[slot]!;
      if (record !== 0 && this.#watch.known.read(record, this.#view)) this.#record(slot, this.#view, undefined);
    }
    this.close();
  }

  changed(record: number, view: View): void {
    const slot = this.#watch.known.slot(record);
    const { flows } = this;
    if (slot !== 0) {
      flows.record[slot] = record;
      flows.seen[slot] = this.#at;
      return;
    }
    const told = view.created && view.origin === ORIGIN_KERNEL;
    const event = told && view.has(S.timestampEvent) ? microseconds(view, S.timestampEvent) : undefined;
    if (event !== undefined) this.#begin(record, view, 'arrival', event, EVENT_DELAY);
    else this.#begin(record, view, told ? 'arrival' : 'found', this.#at, this.#at - this.#emptyAt);
  }

  listed(record: number, view: View, kept: boolean): void {
    const { flows } = this;
    let slot = this.#watch.known.slot(record);
    if (slot === 0) {
      const kind = this.#ready ? 'found' : 'listed';
      slot = this.#begin(record, view, kind, this.#at, this.#ready ? this.#at - (this.#lossAt ?? this.#emptyAt) : 0);
    } else if (kept) flows.record[slot] = record;
    flows.seen[slot] = this.#at;
    this.#setStart(slot, view);
  }

  ended(record: number, last: View | undefined): void {
    const tracker = this.#watch.known;
    const slot = tracker.slot(record);
    if (slot === 0) return;
    if (last) this.#record(slot, last, last);
    else if (tracker.read(record, this.#view)) this.#record(slot, this.#view, undefined);
    this.flows.release(slot);
    tracker.setSlot(record, 0);
  }

  #begin(record: number, view: View, kind: StartKind, start: number, slack: number): number {
    const { flows } = this;
    const slot = flows.allocate(record);
    this.#watch.known.setSlot(record, slot);
    flows.start[slot] = start;
    flows.slack[slot] = slack;
    flows.how[slot] = START_KINDS.indexOf(kind) | (view.created && view.portId !== 0 ? HOW_INJECTED : 0);
    flows.seen[slot] = this.#at;
    const { adopt } = this.#owner;
    if (adopt) this.#adopt(slot, view, adopt);
    return slot;
  }

  #adopt(slot: number, view: View, adopt: NonNullable<NamespaceOwner['adopt']>): void {
    const { batch } = this.#owner;
    const { flows } = this;
    batch.add(view, OPENED);
    if (this.number !== 0) batch.set(COLUMN.ns, this.number);
    if (this.#owner.noDestination) batch.forgetDestination();
    const name = batch.nameOfLast();
    batch.undo();
    const start = view.has(S.timestampStart) ? microseconds(view, S.timestampStart) : undefined;
    const adopted = adopt(name, view.be32(S.id) | 0, start);
    if (!adopted) return;
    flows.key[slot] = adopted.key;
    flows.start[slot] = adopted.start;
    flows.slack[slot] = adopted.slack;
    flows.how[slot] = adopted.how;
  }

  /** The kernel's own time of the beginning, where it keeps one. */
  #setStart(slot: number, view: View): void {
    if (!view.has(S.timestampStart)) return;
    const { flows } = this;
    flows.how[slot]! &= ~3;
    flows.start[slot] = microseconds(view, S.timestampStart);
    flows.slack[slot] = 0;
  }

  /** Adds the row of a flow that has ended: `view` is the last message of it, `event` the one that told of the end. */
  #record(slot: number, view: View, event: View | undefined): void {
    const { flows } = this;
    const { batch } = this.#owner;
    const key = flows.key[slot]!;
    if (this.#rest && !this.#rest(view)) {
      if (key !== 0) {
        batch.drop(key);
        this.#owner.added();
      }
      return;
    }
    batch.add(view, ENDED);
    if (!event) for (const column of [COLUMN.opk, COLUMN.ob, COLUMN.rpk, COLUMN.rb]) batch.set(column, Number.NaN); // as of some time before
    if (key !== 0) batch.setKey(key);
    this.#setStart(slot, view);
    let endKind: EndKind = event ? 'arrival' : this.#reconciling && this.#lossAt === undefined ? 'reconcile' : 'found';
    let end = this.#at;
    let slack = event ? this.#at - this.#emptyAt + (event.has(S.timeout) ? 0 : EXPIRY_DELAY) : this.#at - flows.seen[slot]!;
    if (event?.has(S.timestampStop)) {
      endKind = 'kernel';
      end = microseconds(event, S.timestampStop);
      slack = 0;
    }
    const start = flows.start[slot]!;
    const backwards = end < start;
    this.#setCommon(slot, view);
    batch.set(COLUMN.dur, backwards ? 0 : end - start);
    batch.set(COLUMN.eslack, Math.min(Math.max(0, slack), Math.max(0, end - start)));
    const reason = event ? this.#reasonOf(event) : 'unseen';
    if (reason) batch.set(COLUMN.end_reason, numberOfReason(reason));
    let how = batch.get(COLUMN.how) | (END_KINDS.indexOf(endKind) << END_SHIFT);
    if (backwards) how |= HOW_CLOCK_SET;
    batch.set(COLUMN.how, how);
    this.#owner.added();
  }

  #setCommon(slot: number, view: View): void {
    const { flows } = this;
    const { batch, withId, noDestination } = this.#owner;
    batch.set(COLUMN.start, flows.start[slot]!);
    batch.set(COLUMN.sslack, Math.max(0, flows.slack[slot]!));
    if (this.number !== 0) batch.set(COLUMN.ns, this.number);
    let how = flows.how[slot]!;
    if ((view.be32(S.status) & (IPS_OFFLOAD | IPS_HW_OFFLOAD)) !== 0) how |= HOW_OFFLOADED;
    batch.set(COLUMN.how, how);
    if (withId) batch.set(COLUMN.ctid, view.be32(S.id) | 0);
    if (noDestination) batch.forgetDestination();
  }

  /** Why a flow ended, from the event. */
  #reasonOf(view: View): EndReason | undefined {
    if (view.portId !== 0) return 'deleted';
    if (!this.#owner.tellsReasons) return undefined;
    const proto = view.u8(ORIGINAL + T.protonum);
    const replied = (view.be32(S.status) & IPS_SEEN_REPLY) !== 0;
    const slot = stateSlot(proto);
    const state = proto === tcp.number && slot !== undefined && view.has(slot) ? TCP_STATES[view.u8(slot)] : undefined;
    if (view.be32(S.timeout) > 0) {
      if (state === 'CLOSE' && !replied) return 'refused';
      return state === 'TIME_WAIT' || state === 'CLOSE' ? 'reused' : 'removed';
    }
    switch (state) {
      case 'TIME_WAIT':
        return 'closed';
      case 'CLOSE':
        return 'reset';
      case 'FIN_WAIT':
      case 'CLOSE_WAIT':
      case 'LAST_ACK':
        return 'half-closed';
      case 'SYN_SENT':
      case 'SYN_RECV':
      case 'SYN_SENT2':
        return 'unanswered';
      default:
        return replied ? 'idle' : 'unanswered';
    }
  }

  #lose(events: number): void {
    const now = this.#owner.now();
    this.#lost += events;
    const from = this.#lossAt ?? this.#emptyAt;
    this.#lossAt = now;
    this.#owner.gap({ ns: this.#nsOrNone, from, to: now, reason: this.#owner.trouble ?? 'overrun', events });
  }

  /** What lives is known again; what began and ended meanwhile is not. */
  #repaired(): void {
    const now = this.#owner.now();
    if (this.#lossAt !== undefined)
      this.#owner.gap({
        ns: this.#nsOrNone,
        from: this.#lossAt,
        to: now,
        reason: 'overrun',
        note: 'until the table had been listed',
      });
    this.#lossAt = undefined;
    this.#emptyAt = now;
  }

  get #nsOrNone(): number | undefined {
    return this.number === 0 ? undefined : this.number;
  }
}

/** What a namespace records. */
export interface NamespaceFilter {
  readonly scope: FlowFilter;
  readonly rest?: FlowFilter | undefined;
  readonly receiveBuffer?: number | undefined;
  readonly signal?: Signal | undefined;
}

const TCP_STATES: readonly string[] = TRACKERS.find(({ protonum }) => protonum === tcp.number)!.states;

/** Nanoseconds of the kernel, as microseconds. */
function microseconds(view: View, slot: number): number {
  const high = view.high32(slot);
  const low = view.low32(slot);
  return billions(high, low) * 1e6 + Math.floor(belowBillion(high, low) / 1000);
}
