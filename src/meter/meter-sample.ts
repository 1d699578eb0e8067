// MeterSample: what a meter knows of all flows together after a list, and what it can and cannot say.

import type { BothWays } from './metered-flow.js';
import type { Notice } from './notices.js';

/** Totals that the kernel keeps for all packets, since the meter was opened: of `conntrack -S`, all processors together. */
export type KernelCounts = Readonly<Record<KernelCount, number>>;

/** The name of one of them. */
export type KernelCount = (typeof KERNEL_COUNTS)[number];

/** Their names. */
export const KERNEL_COUNTS = [
  'drop',
  'earlyDrop',
  'insertFailed',
  'invalid',
  'found',
  'insert',
  'error',
  'searchRestart',
  'clashResolve',
  'chaintoolong',
] as const;

/** The sysctls that decide what is known; `undefined`: the kernel has no such thing, or does not show it. */
export interface TrackingSysctls {
  readonly acct: number | undefined;
  readonly events: number | undefined;
  readonly timestamp: number | undefined;
}

/** A network namespace at the time of a sample. */
export interface NamespaceSample {
  readonly name: string;
  /** Entries of the whole table, whatever the filter, and how many there may be. */
  readonly entries: number;
  readonly maxEntries?: number;
  /** Seconds until the table is full, if it goes on growing as in the last minutes. Absent unless it grows steadily. */
  readonly full?: number;
  /** Packets dropped and so on, since the meter was opened. */
  readonly kernel: KernelCounts;
  readonly sysctls: TrackingSysctls;
  /** Seconds that the last list took, and seconds since it began. */
  readonly sweepTime: number;
  readonly sweepAge: number;
  /** How often events were lost. */
  readonly lost: number;
}

/** What a meter knows after a list. */
export interface MeterSample {
  /** 1 for the first list. */
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Seconds since the sample before; 0 for the first. */
  readonly seconds: number;
  /** Entries of all namespaces together. */
  readonly entries: number;
  /** Limit of the namespace that is fullest. */
  readonly maxEntries?: number;
  /** Seconds until the first of them is full; see NamespaceSample. */
  readonly full?: number;
  /** Flows that are metered. */
  readonly flows: number;
  /** The number that the next flow to be met will have. */
  readonly nextFlow: number;
  readonly unreplied: number;
  readonly protocols: { readonly tcp: number; readonly udp: number; readonly icmp: number; readonly other: number };
  /** Flows that began and ended since the sample before. */
  readonly begun: number;
  readonly ended: number;
  /** Bytes and packets per second between the last two lists of each namespace, with those of flows that have ended. Absent in the first one. */
  readonly rate?: BothWays;
  readonly packetRate?: number;
  /** Since the meter was opened. */
  readonly counted: {
    readonly begun: number;
    readonly ended: number;
    /** Flows that have ended without a packet back; where no event told of the end, as far as was known before. */
    readonly endedUnreplied: number;
    readonly bytes: BothWays;
    readonly packets: BothWays;
    /** Ends that no event told of, so that the last bytes are not known. */
    readonly unseen: number;
    /** Counters that somebody set to 0. */
    readonly resets: number;
  };
  /** Processor time of this process since the sample before, as a share of one processor. */
  readonly cost: number;
  readonly namespaces: readonly NamespaceSample[];
  /** How many samples a reader has missed. */
  readonly skipped: number;
}

/** What a meter can and cannot say. */
export interface MeterStatus {
  readonly accounting: 'on' | 'partly' | 'off';
  readonly events: 'all' | 'new' | 'off';
  readonly timestamps: boolean;
  /** Milliseconds between lists, as they are now. */
  readonly interval: number;
  readonly notices: readonly Notice[];
}
