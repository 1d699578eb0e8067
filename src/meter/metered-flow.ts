// MeteredFlow: what a meter says of a flow.

import type { Flow } from '../ctnetlink/flow.js';

/** A number for each direction. */
export interface BothWays {
  readonly original: number;
  readonly reply: number;
}

/** Rates: a tenth is more than anybody knows. */
export function bothWays(original: number, reply: number): BothWays {
  return { original: rounded(original, 1), reply: rounded(reply, 1) };
}

/** A number with so many decimals. */
export function rounded(value: number, decimals: 1 | 3): number {
  const scale = decimals === 1 ? 10 : 1000;
  return Math.round(value * scale) / scale;
}

/** A flow with its rates. */
export interface MeteredFlow {
  /** Number of the flow in this meter: the same as long as it lives, and not given again. */
  readonly number: number;
  /** With the newest counters known. */
  readonly flow: Flow;
  /** Name of its namespace, in a meter of several. */
  readonly netns?: string;
  /** Bytes per second, between the last two readings. Absent as long as it is not known. */
  readonly rate?: BothWays;
  /** Bytes per second, on average of about 10 seconds. */
  readonly average?: BothWays;
  /** Packets per second, of both directions. */
  readonly packetRate?: number;
  /** Seconds since it began. */
  readonly age: number;
  /** It was there when the meter began, so it may be older. */
  readonly ageAtLeast?: true;
  /** Seconds since its counters were seen to change. Absent without counters. */
  readonly idle?: number;
  /** `offloaded`: the kernel has counters, but whoever forwards the packets does not tell it. */
  readonly counters: 'kernel' | 'none' | 'offloaded';
}
