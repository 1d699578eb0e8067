// Makes samples of what the namespaces of a meter say.

import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';
import { type FlowColumns, UNREPLIED } from './flow-columns.js';
import type { MeterSample, NamespaceSample } from './meter-sample.js';
import { bothWays, rounded } from './metered-flow.js';
import type { MeteredNamespace } from './metered-namespace.js';
import type { Counts } from './metered-table.js';
import type { SeriesValues } from './series.js';

/** A namespace as it is now, in milliseconds of the meter's clock. */
export function namespaceSample(namespace: MeteredNamespace, now: number): NamespaceSample {
  const { name, entries, maxEntries, forecast, kernel, sysctls, sweepTime, sweptAt, lost } = namespace;
  const full = maxEntries === undefined ? undefined : forecast.full(maxEntries);
  return {
    name,
    entries,
    ...(maxEntries === undefined ? {} : { maxEntries }),
    ...(full === undefined ? {} : { full: rounded(full, 1) }),
    kernel: { ...kernel },
    sysctls,
    sweepTime: rounded(sweepTime / 1000, 3),
    sweepAge: rounded((Number.isFinite(sweptAt) ? now - sweptAt : now) / 1000, 3),
    lost,
  };
}

/** Sums since the meter was opened. */
export function countedBy(all: readonly Counts[]): MeterSample['counted'] {
  const sum = (name: keyof Counts) => all.reduce((total, counts) => total + counts[name], 0);
  return {
    begun: sum('begun'),
    ended: sum('ended'),
    endedUnreplied: sum('endedUnreplied'),
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

/** Bytes and packets per second of all namespaces that were listed twice. */
export function ratesOf(namespaces: readonly MeteredNamespace[]): Pick<MeterSample, 'rate' | 'packetRate'> {
  const rates = namespaces.flatMap(({ rate }) => (rate ? [rate] : []));
  if (rates.length === 0) return {};
  const sum = (of: (rate: (typeof rates)[number]) => number) => rates.reduce((total, rate) => total + of(rate), 0);
  return {
    rate: bothWays(
      sum(({ original }) => original),
      sum(({ reply }) => reply),
    ),
    packetRate: rounded(
      sum(({ packets }) => packets),
      1,
    ),
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
