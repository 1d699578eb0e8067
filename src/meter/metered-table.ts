// MeteredTable: the flows of one network namespace in the meter's columns: lists and events in, counters and rates out. What is counted,
// and what not, says docs/meter.md.

import { ORIGINAL, S, T } from '../ctnetlink/fields.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import {
  IPS_ASSURED,
  IPS_DST_NAT,
  IPS_HW_OFFLOAD,
  IPS_OFFLOAD,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
} from '../ctnetlink/uapi/nf-conntrack-common.js';
import { ORIGIN_KERNEL, type View } from '../ctnetlink/view.js';
import type { EntryFollower, TableTracker } from '../library/index.js';
import { billions } from '../wire/bytes.js';
import {
  ASSURED,
  BLIND,
  BORN,
  DESTINATION_NAT,
  type FlowColumns,
  OFFLOADED,
  RATED,
  READ,
  SEEN,
  SOURCE_NAT,
  UNREPLIED,
} from './flow-columns.js';
import type { GroupTable } from './group-table.js';

/** Seconds in which the average follows a new rate to two thirds. */
const AVERAGE_OVER = 10;
/** Readings that follow each other faster say little: milliseconds. */
const TOO_SOON = 200;
/** Offloaded flows whose counters stand still for so many sweeps are not counted by whoever forwards them. */
const STILL = 3;
const HALF = 4294967296;
/** What the status says. */
const STATUS_FLAGS = UNREPLIED | ASSURED | OFFLOADED | SOURCE_NAT | DESTINATION_NAT;

/** Sums since the meter was opened. */
export interface Counts {
  begun: number;
  ended: number;
  /** Flows that have ended without a packet back, as far as is known. */
  endedUnreplied: number;
  /** Ends of which no event told, so that the last bytes are not known. */
  unseen: number;
  /** Counters that somebody set to 0. */
  resets: number;
  bytesOriginal: number;
  bytesReply: number;
  packetsOriginal: number;
  packetsReply: number;
}

export function noCounts(): Counts {
  return {
    begun: 0,
    ended: 0,
    endedUnreplied: 0,
    unseen: 0,
    resets: 0,
    bytesOriginal: 0,
    bytesReply: 0,
    packetsOriginal: 0,
    packetsReply: 0,
  };
}

export function addCounts(to: Counts, counts: Counts): void {
  for (const name of Object.keys(to) as (keyof Counts)[]) to[name] += counts[name];
}

/** By protocol number its place in `PROTOCOLS`; behind them, what has no tracker. */
export const PROTOCOL_PLACES: Uint8Array = new Uint8Array(256).fill(PROTOCOLS.length);
for (const [place, { number }] of PROTOCOLS.entries()) PROTOCOL_PLACES[number] = place;

export class MeteredTable implements EntryFollower {
  readonly name: string;
  /** Its number in the columns. */
  readonly index: number;
  /** By the place of the protocol. */
  readonly counted: readonly Counts[] = Array.from({ length: PROTOCOLS.length + 1 }, noCounts);
  /** Events that told of its flows. */
  readonly events = { new: 0, update: 0, destroy: 0 };
  /** Flows whose counters had changed at the last sweep. */
  movedFlows = 0;
  readonly #columns: FlowColumns;
  readonly #groups: readonly (GroupTable | undefined)[];
  readonly #tracker: () => TableTracker;
  /** Milliseconds of the meter's clock. */
  #at = 0;
  /** The first list is not complete: what it has was there before. */
  #baseline = true;
  /** When this list began, and the one before it. */
  #list = 0;
  #lastList = 0;
  /** Flows that are met from here on began after the list in progress. */
  #listSerial = 0;

  constructor(
    name: string,
    index: number,
    columns: FlowColumns,
    groups: readonly (GroupTable | undefined)[],
    tracker: () => TableTracker,
  ) {
    this.name = name;
    this.index = index;
    this.#columns = columns;
    this.#groups = groups;
    this.#tracker = tracker;
  }

  /** Of all protocols together. */
  get counts(): Counts {
    const sum = noCounts();
    for (const counts of this.counted) addCounts(sum, counts);
    return sum;
  }

  /** The messages of its flows. */
  get tracker(): TableTracker {
    return this.#tracker();
  }

  /** What comes now arrived at this time, in milliseconds of the meter's clock. */
  arrived(at: number): void {
    this.#at = at;
  }

  beginList(): void {
    this.#lastList = this.#list;
    this.#list = this.#at;
    this.#listSerial = this.#columns.nextSerial;
    this.movedFlows = 0;
  }

  /** The first list is complete. */
  beginCounting(): void {
    this.#baseline = false;
  }

  changed(record: number, view: View): void {
    if (view.created) this.events.new++;
    else this.events.update++;
    const slot = this.tracker.slot(record);
    if (slot === 0) {
      this.#begin(record, view, view.created && view.origin === ORIGIN_KERNEL);
      return;
    }
    this.#columns.record[slot] = record;
    this.#told(slot, view, false);
  }

  listed(record: number, view: View, kept: boolean): void {
    const columns = this.#columns;
    let slot = this.tracker.slot(record);
    if (slot === 0) slot = this.#begin(record, view, false);
    // It began after this list, which may be of the flow before it.
    else if (columns.serial[slot]! >= this.#listSerial) return;
    else if (kept) {
      columns.record[slot] = record;
      this.#told(slot, view, true);
    }
    this.#setStart(slot, view);
    this.measure(slot, view);
  }

  ended(record: number, last: View | undefined): void {
    if (last) this.events.destroy++;
    const { tracker } = this;
    const slot = tracker.slot(record);
    if (slot === 0) return;
    const columns = this.#columns;
    const counts = this.#countsOf(slot);
    if (!last) counts.unseen++;
    else {
      this.#setStatus(slot, last);
      if (last.has(S.bytesOriginal)) this.#count(slot, last);
    }
    const unreplied = (columns.flags[slot]! & UNREPLIED) !== 0;
    counts.ended++;
    if (unreplied) counts.endedUnreplied++;
    for (const group of this.#groups) group?.ended(slot, unreplied);
    columns.release(slot);
    tracker.setSlot(record, 0);
  }

  /** Reads the counters of a flow. */
  measure(slot: number, view: View): void {
    const columns = this.#columns;
    if (!view.has(S.bytesOriginal)) {
      columns.flags[slot]! &= ~SEEN;
      return;
    }
    const flags = columns.flags[slot]!;
    const at = this.#at;
    const elapsed = (at - columns.seen[slot]!) >>> 0;
    if ((flags & READ) !== 0 && elapsed < TOO_SOON) return;
    const bytesOriginal = columns.bytesOriginal[slot]!;
    const bytesReply = columns.bytesReply[slot]!;
    const packets = columns.packetsOriginal[slot]! + columns.packetsReply[slot]!;
    const reset = this.#count(slot, view);
    columns.seen[slot] = at;
    columns.flags[slot] = (flags & ~SEEN) | READ;
    const nowPackets = columns.packetsOriginal[slot]! + columns.packetsReply[slot]!;
    if (nowPackets !== packets) {
      columns.moved[slot] = at;
      columns.still[slot] = 0;
      this.movedFlows++;
    } else if (columns.still[slot]! < 255) columns.still[slot]!++;
    if ((flags & (READ | SEEN)) === 0) {
      columns.moved[slot] = at;
      return;
    }
    this.#mindOffload(slot);
    // Rates are of the time since the last list, also those of flows that have begun since: so they add up.
    const began = (flags & SEEN) !== 0;
    const seconds = (began ? Math.max(elapsed, at - this.#lastList) : elapsed) / 1000;
    if (seconds <= 0) return;
    const from = reset ? 0 : 1;
    const rateOriginal = (columns.bytesOriginal[slot]! - from * bytesOriginal) / seconds;
    const rateReply = (columns.bytesReply[slot]! - from * bytesReply) / seconds;
    columns.rateOriginal[slot] = rateOriginal;
    columns.rateReply[slot] = rateReply;
    columns.packetRate[slot] = (nowPackets - from * packets) / seconds;
    // Before it began, a flow had nothing.
    const weight = (flags & RATED) === 0 && !began ? 1 : 1 - Math.exp(-seconds / AVERAGE_OVER);
    columns.averageOriginal[slot]! += weight * (rateOriginal - columns.averageOriginal[slot]!);
    columns.averageReply[slot]! += weight * (rateReply - columns.averageReply[slot]!);
    columns.flags[slot]! |= RATED;
  }

  #begin(record: number, view: View, seen: boolean): number {
    const columns = this.#columns;
    const slot = columns.allocate(record, this.index);
    this.tracker.setSlot(record, slot);
    columns.protonum[slot] = view.u8(ORIGINAL + T.protonum);
    columns.born[slot] = Date.now() / 1000;
    columns.seen[slot] = this.#at;
    columns.moved[slot] = this.#at;
    columns.flags[slot] = seen ? BORN | SEEN : 0;
    this.#setStart(slot, view);
    this.#setStatus(slot, view);
    this.#setState(slot, view);
    for (const group of this.#groups) group?.join(slot, view, this.index);
    if (!this.#baseline || seen) {
      this.#countsOf(slot).begun++;
      for (const group of this.#groups) group?.began(slot);
    }
    return slot;
  }

  /** A message tells how a flow is now; what a complete one does not mention is not there. */
  #told(slot: number, view: View, complete: boolean): void {
    this.#setStatus(slot, view);
    this.#setState(slot, view);
    for (const group of this.#groups) group?.move(slot, view, this.index, complete);
  }

  /** Events do not say when a flow began. */
  #setStart(slot: number, view: View): void {
    if (!view.has(S.timestampStart)) return;
    this.#columns.born[slot] = billions(view.high32(S.timestampStart), view.low32(S.timestampStart));
    this.#columns.flags[slot]! |= BORN;
  }

  #setStatus(slot: number, view: View): void {
    if (!view.has(S.status)) return;
    const status = view.be32(S.status);
    const flags = this.#columns.flags[slot]! & ~STATUS_FLAGS;
    this.#columns.flags[slot] =
      flags |
      ((status & IPS_SEEN_REPLY) === 0 ? UNREPLIED : 0) |
      ((status & IPS_ASSURED) !== 0 ? ASSURED : 0) |
      ((status & (IPS_OFFLOAD | IPS_HW_OFFLOAD)) !== 0 ? OFFLOADED : 0) |
      ((status & IPS_SRC_NAT) !== 0 ? SOURCE_NAT : 0) |
      ((status & IPS_DST_NAT) !== 0 ? DESTINATION_NAT : 0);
  }

  #setState(slot: number, view: View): void {
    for (let n = 0; n < TRACKERS.length; n++) {
      const state = TRACKERS[n]!.slot;
      if (view.has(state)) this.#columns.state[slot] = view.u8(state);
    }
  }

  #countsOf(slot: number): Counts {
    return this.counted[PROTOCOL_PLACES[this.#columns.protonum[slot]!]!]!;
  }

  #mindOffload(slot: number): void {
    const columns = this.#columns;
    const flags = columns.flags[slot]!;
    const blind = (flags & OFFLOADED) !== 0 && columns.still[slot]! >= STILL;
    columns.flags[slot] = blind ? flags | BLIND : flags & ~BLIND;
  }

  /**
   * Takes over the counters of a message, and counts what they have grown by: all of them, for a flow that began after the first list and
   * has not been read yet. @returns whether they had been set to 0
   */
  #count(slot: number, view: View): boolean {
    const columns = this.#columns;
    const bytesOriginal = counterOf(view, S.bytesOriginal);
    const bytesReply = counterOf(view, S.bytesReply);
    const packetsOriginal = counterOf(view, S.packetsOriginal);
    const packetsReply = counterOf(view, S.packetsReply);
    const reset =
      bytesOriginal < columns.bytesOriginal[slot]! ||
      bytesReply < columns.bytesReply[slot]! ||
      packetsOriginal < columns.packetsOriginal[slot]! ||
      packetsReply < columns.packetsReply[slot]!;
    const counts = this.#countsOf(slot);
    if (reset) counts.resets++;
    if (!this.#baseline || (columns.flags[slot]! & (READ | SEEN)) !== 0) {
      const from = reset ? 0 : 1;
      const moreBytesOriginal = bytesOriginal - from * columns.bytesOriginal[slot]!;
      const moreBytesReply = bytesReply - from * columns.bytesReply[slot]!;
      const morePacketsOriginal = packetsOriginal - from * columns.packetsOriginal[slot]!;
      const morePacketsReply = packetsReply - from * columns.packetsReply[slot]!;
      counts.bytesOriginal += moreBytesOriginal;
      counts.bytesReply += moreBytesReply;
      counts.packetsOriginal += morePacketsOriginal;
      counts.packetsReply += morePacketsReply;
      // Somebody may have set packets to 0, and not bytes.
      if (moreBytesOriginal !== 0 || moreBytesReply !== 0 || morePacketsOriginal !== 0 || morePacketsReply !== 0)
        for (const group of this.#groups)
          group?.count(slot, moreBytesOriginal, moreBytesReply, morePacketsOriginal, morePacketsReply);
    }
    columns.bytesOriginal[slot] = bytesOriginal;
    columns.bytesReply[slot] = bytesReply;
    columns.packetsOriginal[slot] = packetsOriginal;
    columns.packetsReply[slot] = packetsReply;
    return reset;
  }
}

/** A counter of a flow, exact up to 2^53. */
export function counterOf(view: View, slot: number): number {
  return view.high32(slot) * HALF + (view.low32(slot) >>> 0);
}
