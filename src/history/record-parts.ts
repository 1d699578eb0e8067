// A part of a record, as it goes from the host that keeps the record to who keeps a copy. Times are microseconds since the epoch.

import type { SqliteValue } from './driver/sqlite.js';

/** A gap, with its number: they grow in the order of the record. */
export interface PartGap {
  /** 0: of records that are lacking, which `lost` tells apart. */
  readonly id: number;
  readonly ns: number | null;
  readonly from: number;
  readonly to: number;
  /** Number of the first record behind it. */
  readonly first: number;
  /** Numbers of records that are lacking: the first and the last. */
  readonly lost?: readonly [number, number] | undefined;
  readonly reason: string;
  readonly events: number | null;
  readonly note: string | null;
}

/** How well the clock was kept from a moment on, as the table `clock` has it. */
export interface PartClock {
  readonly at: number;
  readonly before: number | null;
  readonly after: number | null;
  readonly delta: number | null;
  readonly class: string | null;
}

/** What a part says besides records. */
export interface PartHead {
  /** UUID of the recorder; with `.2` and so on if its disk was put back. */
  readonly recorder: string;
  /** Number of the first record, or of the next if there is none. */
  readonly first: number;
  /** What ended before is in parts before this one, or lacks. */
  readonly since: number;
  /** What ended before then is in parts up to this one, but for gaps. */
  readonly alive: number;
  /** Flows that live still began at this time or later, if that is known. */
  readonly openFrom?: number | undefined;
  readonly noDestination?: boolean | undefined;
  /** Which flows are recorded, as a filter; absent: all. */
  readonly filter?: string | undefined;
  /** Names of network namespaces, by the number in the column `ns`. */
  readonly netns: readonly (readonly [number: number, name: string])[];
  readonly gaps: readonly PartGap[];
  readonly clock: readonly PartClock[];
  /** Milliseconds by which the clock of the host is ahead, and how far off that may be. */
  readonly offset?: readonly [offset: number, error: number] | undefined;
}

/** Records, without their numbers. */
export interface PartRecords {
  readonly count: number;
  /** Values by the places of RECORD_COLUMNS, a column after the other; absent: all are NULL. */
  readonly columns: readonly (readonly SqliteValue[] | undefined)[];
}

/** A part, as a copy takes it. */
export interface RecordPart extends PartHead, PartRecords {}
