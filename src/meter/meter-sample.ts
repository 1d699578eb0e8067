// MeterSample: what a meter knows of all flows together after a list, and what it can and cannot say.

import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';
import { type FlowColumns, UNREPLIED } from './flow-columns.js';
import type { BothWays } from './flow-store.js';
import type { KernelCounts, MeteredNamespace, TrackingSysctls } from './metered-namespace.js';
import type { Counts } from './metered-table.js';
import type { Notice } from './notices.js';
import type { SeriesValues } from './series.js';

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
  readonly unreplied: number;
  readonly protocols: { readonly tcp: number; readonly udp: number; readonly icmp: number; readonly other: number };
  /** Flows that began and ended since the sample before. */
  readonly begun: number;
  readonly ended: number;
  /** Bytes and packets per second since the sample before, with those of flows that have ended. Absent in the first one. */
  readonly rate?: BothWays;
  readonly packetRate?: number;
  /** Since the meter was opened. */
  readonly counted: {
    readonly begun: number;
    readonly ended: number;
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

/** A namespace as it is now, in milliseconds of the meter's clock. */
export function namespaceSample(namespace: MeteredNamespace, now: number): NamespaceSample {
  const { name, entries, maxEntries, forecast, kernel, sysctls, sweepTime, sweptAt, lost } = namespace;
  const full = maxEntries === undefined ? undefined : forecast.full(maxEntries);
  return {
    name,
    entries,
    ...(maxEntries === undefined ? {} : { maxEntries }),
    ...(full === undefined ? {} : { full }),
    kernel: { ...kernel },
    sysctls,
    sweepTime: sweepTime / 1000,
    sweepAge: Number.isFinite(sweptAt) ? (now - sweptAt) / 1000 : now / 1000,
    lost,
  };
}

/** Sums since the meter was opened. */
export function countedBy(all: readonly Counts[]): MeterSample['counted'] {
  const sum = (name: keyof Counts) => all.reduce((total, counts) => total + counts[name], 0);
  return {
    begun: sum('begun'),
    ended: sum('ended'),
    bytes: { original: sum('bytesOriginal'), reply: sum('bytesReply') },
    packets: { original: sum('packetsOriginal'), reply: sum('packetsReply') },
    unseen: sum('unseen'),
    resets: sum('resets'),
  };
}

/** How many flows there are of each kind. */
export function countFlows(columns: FlowColumns): Pick<MeterSample, 'unreplied' | 'protocols'> {
  const protocols = { tcp: 0, udp: 0, icmp: 0, other: 0 };
  let unreplied = 0;
  for (let slot = 1; slot < columns.end; slot++) {
    if (columns.record[slot] === 0) continue;
    if (columns.flags[slot]! & UNREPLIED) unreplied++;
    const protonum = columns.protonum[slot]!;
    if (protonum === IPPROTO_TCP) protocols.tcp++;
    else if (protonum === IPPROTO_UDP) protocols.udp++;
    else if (protonum === IPPROTO_ICMP || protonum === IPPROTO_ICMPV6) protocols.icmp++;
    else protocols.other++;
  }
  return { unreplied, protocols };
}

/** The entries of all namespaces, the limit of the fullest, and when the first will be full. */
export function fillOf(namespaces: readonly NamespaceSample[]): Pick<MeterSample, 'entries' | 'maxEntries' | 'full'> {
  const share = ({ entries, maxEntries }: NamespaceSample) => (maxEntries ? entries / maxEntries : 0);
  const fullest = namespaces.reduce<NamespaceSample | undefined>(
    (most, next) => (!most || share(next) > share(most) ? next : most),
    undefined,
  );
  const maxEntries = fullest?.maxEntries;
  const full = namespaces.reduce((least, next) => Math.min(least, next.full ?? least), Number.POSITIVE_INFINITY);
  return {
    entries: namespaces.reduce((sum, { entries }) => sum + entries, 0),
    ...(maxEntries === undefined ? {} : { maxEntries }),
    ...(Number.isFinite(full) ? { full } : {}),
  };
}

/** What happened between two samples. */
export function changesSince(
  before: MeterSample['counted'],
  now: MeterSample['counted'],
  seconds: number,
): Pick<MeterSample, 'begun' | 'ended' | 'rate' | 'packetRate'> {
  const rate = (of: (counted: MeterSample['counted']) => number) => (of(now) - of(before)) / seconds;
  return {
    begun: now.begun - before.begun,
    ended: now.ended - before.ended,
    rate: { original: rate(({ bytes }) => bytes.original), reply: rate(({ bytes }) => bytes.reply) },
    packetRate: rate(({ packets }) => packets.original + packets.reply),
  };
}

/** A sample as values of a series. */
export function seriesValues({ entries, begun, ended, seconds, rate, packetRate, namespaces }: MeterSample): SeriesValues {
  const perSecond = (count: number) => (seconds > 0 ? count / seconds : Number.NaN);
  return {
    entries,
    begun: perSecond(begun),
    ended: perSecond(ended),
    rateOriginal: rate?.original ?? Number.NaN,
    rateReply: rate?.reply ?? Number.NaN,
    packetRate: packetRate ?? Number.NaN,
    dropped: namespaces.reduce((sum, { kernel }) => sum + kernel.drop + kernel.earlyDrop, 0),
  };
}
