// The options of the public API. For each option, a row of check-options.ts says what its value must be.

import type { EventType } from '../ctnetlink/event.js';
import type { Family, FlowField } from '../ctnetlink/flow.js';
import type { LabelMap } from '../ctnetlink/label.js';
import type { EventLoss } from './events/event-source.js';
import type { FlowList } from './flow-dumps.js';
import type { Signal } from './signal.js';

/** Options of every call. */
export interface CallOptions {
  /** Ends the call with the signal's reason. Changes already made stay. */
  readonly signal?: Signal | undefined;
}

/** How flows are listed. */
export interface ListOptions<F extends readonly FlowField[] = readonly FlowField[]> extends CallOptions {
  /**
   * Read only these members; the others are absent. Faster, above all without `original` and `reply`. Default: all. The compiler knows
   * names written in the call; of a `FlowField[]` variable it knows nothing, so every member may be absent.
   */
  readonly fields?: F;
  /**
   * `conntrack` is the table itself; `dying` has entries whose DESTROY event could not be delivered yet, `unconfirmed` those of packets
   * that are still in transit (kernels up to 6.17 or so). Default `conntrack`.
   */
  readonly list?: FlowList | undefined;
  /** Reset counters while reading: those of every entry of the filter's family, including entries that the filter leaves out. */
  readonly zero?: boolean | undefined;
}

/** How a program watches. */
export interface WatchOptions extends CallOptions {
  /** Size of the receive buffer to request, in bytes; the kernel doubles it. Default 16 MiB, room for some 25,000 events. */
  readonly receiveBuffer?: number | undefined;
}

/** How flows are created. */
export interface CreateOptions extends CallOptions {
  /** Update the flow if it exists. Default false: an existing flow is refused with EEXIST. */
  readonly mayExist?: boolean | undefined;
}

/** Which part of a table a call is about. */
export interface FamilyOptions extends CallOptions {
  /** Default: both. */
  readonly family?: Family | undefined;
}

/** Which events, and how they wait for the program. */
export interface EventsOptions extends WatchOptions, EventQueueOptions {
  /** Begin with a NEW event of `origin` `initial` for each existing entry. Default false. */
  readonly initial?: boolean | undefined;
  /** After a loss, list the table and make up for it with events of `origin` `resync`. Default false. */
  readonly resync?: boolean | undefined;
  /**
   * Look up the program behind the `portId` of each event; the event then has its name and process id. The first lookup of a port id in
   * each second reads /proc on the JavaScript thread, in the worst case for every process. Default false.
   */
  readonly program?: boolean | undefined;
}

/** Which events of flows. */
export interface FlowEventsOptions extends EventsOptions {
  /** Default: all three. */
  readonly types?: readonly EventType[] | undefined;
}

/**
 * What happens if `highWaterMark` events wait to be taken.
 * - `pause`: no more are read; the kernel keeps some 25,000 more and then drops, which is a loss like any other.
 * - `drop-oldest`, `drop-newest`: these are dropped; `dropped` counts them.
 * - `fail`: the stream ends with an OverflowError.
 */
export type OverflowPolicy = (typeof OVERFLOW_POLICIES)[number];
export const OVERFLOW_POLICIES = ['pause', 'drop-oldest', 'drop-newest', 'fail'] as const;

/** How events wait for the program. */
export interface EventQueueOptions {
  /** Events that may wait. Default 16384. */
  readonly highWaterMark?: number | undefined;
  /** Default `pause`. */
  readonly overflow?: OverflowPolicy | undefined;
  /**
   * Called when the kernel had to drop events because they were not read in time. An exception in it is an uncaught exception of the
   * process; the stream goes on.
   */
  readonly onLost?: ((loss: EventLoss) => void) | undefined;
}

/** What else to print, named as in `-o`. */
export interface FlowFormatOptions {
  /** The id, in `text` and `extended`; the other forms always have it, or never. */
  readonly id?: boolean | undefined;
  /** Start and stop times kept by the kernel, in `text`, `extended` and `xml`. */
  readonly ktimestamp?: boolean | undefined;
  /** Everything that can be loaded again (mark, labels, helper, master, ports of NAT, …), in `save`. */
  readonly full?: boolean | undefined;
  /** Names of labels, in every form except `save`. `json` always has the bits. */
  readonly labels?: LabelMap | undefined;
  /** The time up to which the age of a flow counts, in milliseconds since the epoch. Default: now. */
  readonly now?: number | undefined;
}
