// What the thread that reads events hands to the one that writes. Times are microseconds since the epoch.

import type { BatchContents } from './record-batch.js';
import type { Gap } from './recorded-namespace.js';

/** What is known of a run of the recorder. */
export interface SessionRow {
  /** Microseconds since the epoch. */
  readonly from: number;
  /** The running system, anew at each start of the machine. */
  readonly boot: string;
  /** In text; absent: everything. */
  readonly filter?: string | undefined;
  readonly sysctls: Readonly<Record<string, number | undefined>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly version: string;
  readonly noDestination: boolean;
}

/** What goes into the record at once. */
export interface Delivery {
  readonly batch: BatchContents;
  /** They go before the rows. */
  readonly gaps: readonly Gap[];
  /** Flows of `open` that were no longer there when recording began again, and when that was found. */
  readonly vanished?: { readonly keys: readonly number[]; readonly at: number } | undefined;
  readonly namespaces?: readonly NamespaceRow[] | undefined;
  readonly clock?: readonly ClockRow[] | undefined;
  /** Everything up to then is in the record now, but for gaps; absent: nothing is known yet. */
  readonly alive?: number | undefined;
  /** Every flow that began before is in `flow` or in `open`. */
  readonly openTo?: number | undefined;
  /** A list that began then had every flow in `open` that had begun before. */
  readonly seenTo?: number | undefined;
  /** Of a new record: when its first list was complete, before which it says nothing. */
  readonly ready?: number | undefined;
  /** When it is delivered: microseconds since the epoch. */
  readonly now: number;
  /** The recorder ends. */
  readonly last?: boolean;
}

/** A network namespace. */
export interface NamespaceRow {
  readonly number: number;
  readonly name: string;
  readonly inode: number;
  readonly first: number;
}

/** The clock was set, or what is known of its error has changed. Microseconds. */
export interface ClockRow {
  readonly at: number;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly delta?: number | undefined;
  /** How well it is kept, in words; absent: the system does not tell. */
  readonly class: string | undefined;
}
