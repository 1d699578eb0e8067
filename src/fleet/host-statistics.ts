// The counters of processors, as a host tells them.

import { CPU_STATISTICS, statisticMember } from '../ctnetlink/statistics.js';
import type { CpuStatistics } from '../library/index.js';

/** Processors of all network namespaces of one host. */
const MOST_ROWS = 4096;
const MOST_TEXT = 300;
const MEMBERS = ['cpu', ...CPU_STATISTICS.map(statisticMember)];

/** Counters of a processor in one of the network namespaces of a host. */
export type HostStatistics = CpuStatistics & { readonly netns?: string };

/** What a host answered; what is none of it is left out. */
export function readStatistics(told: unknown): readonly HostStatistics[] {
  return (Array.isArray(told) ? told.slice(0, MOST_ROWS) : []).flatMap((each: unknown) => {
    const row = (each ?? {}) as Readonly<Record<string, unknown>>;
    const { netns } = row;
    const read: Record<string, unknown> = typeof netns === 'string' ? { netns: netns.slice(0, MOST_TEXT) } : {};
    for (const name of MEMBERS) if (Number.isSafeInteger(row[name])) read[name] = row[name];
    return read['cpu'] === undefined ? [] : [read as HostStatistics];
  });
}
