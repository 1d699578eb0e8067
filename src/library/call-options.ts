// What calls of the public API can be given. A row of check-options.ts says of each option what its value must be.

import type { EventType } from '../ctnetlink/event.js';
import type { Family, FlowField } from '../ctnetlink/flow.js';
import type { LabelMap } from '../ctnetlink/label.js';
import type { EventLoss } from './events/event-source.js';
import type { FlowList } from './flow-dumps.js';
import type { Signal } from './signal.js';

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with the signal's reason. What was already changed stays changed. */
  readonly signal?: Signal | undefined;
}

/** How flows are listed. */
export interface ListOptions<F extends readonly FlowField[] = readonly FlowField[]> extends CallOptions {
  /**
   * Read only these members; the others are absent. Faster, above all without `original` and `reply`. Default: all.
   * Names that stand in the call are known to the compiler; of a `FlowField[]` it knows nothing, so every member may be absent.
   */
  readonly fields?: F;
  /**
   * `conntrack` is the table itself; `dying` has entries whose DESTROY event could not be delivered yet, `unconfirmed` those of
   * packets that are still on their way (kernels up to 6.17 or so). Default `conntrack`.
   */
  readonly list?: FlowList | undefined;
  /** Reset the counters while reading: of every entry of the filter's family, also of those that the filter leaves out. */
  readonly zero?: boolean | undefined;
}

/** How a program watches. */
export interface WatchOptions extends CallOptions {
  /** Bytes to ask for as receive buffer; the kernel doubles it. Default 16 MiB, room for some 25,000 events. */
  readonly receiveBuffer?: number | undefined;
}

/** How flows are created. */
export interface CreateOptions extends CallOptions {
  /** One that is there is updated. Default false: it is refused with EEXIST. */
  readonly mayExist?: boolean | undefined;
}

/** What of a table a call is about. */
export interface FamilyOptions extends CallOptions {
  /** Default: both. */
  readonly family?: Family | undefined;
}

/** Which events, and how they wait for the program. */
export interface EventsOptions extends WatchOptions, EventQueueOptions {
  /** Begin with a NEW event of `origin` `initial` for each entry that is there. Default false. */
  readonly initial?: boolean | undefined;
  /** After a loss, list the table and make up for it with events of `origin` `resync`. Default false. */
  readonly resync?: boolean | undefined;
  /**
   * Look for the program behind the `portId` of each event: its name and process id are then members of the event. The first look-up
   * of a port id in a second reads /proc on the JavaScript thread, in the worst case of every process. Default false.
   */
  readonly program?: boolean | undefined;
}

/** Which events of flows. */
export interface FlowEventsOptions extends EventsOptions {
  /** Default: all three. */
  readonly types?: readonly EventType[] | undefined;
}

/**
 * What happens when `highWaterMark` events wait to be taken.
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
   * Called when the kernel had to drop events, since they were not read in time. What it throws is an uncaught exception of the
   * process; the stream goes on.
   */
  readonly onLost?: ((loss: EventLoss) => void) | undefined;
}

/** What else is to be printed, as `-o` names it. */
export interface FlowFormatOptions {
  /** The id, in `text` and `extended`: the other forms have it anyway, or not at all. */
  readonly id?: boolean | undefined;
  /** Start and stop times kept by the kernel, in `text`, `extended` and `xml`. */
  readonly ktimestamp?: boolean | undefined;
  /** Everything that can be loaded again (mark, labels, helper, master, ports of NAT, …), in `save`. */
  readonly full?: boolean | undefined;
  /** Names of labels, in every form but `save`. `json` has the bits anyway. */
  readonly labels?: LabelMap | undefined;
  /** The time that the age of a flow counts to, in milliseconds since the epoch. Default: now. */
  readonly now?: number | undefined;
}
