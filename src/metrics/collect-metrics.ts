// collectMetrics: what a meter knows, as metrics: computed when it is asked for, from what is in memory, and never more than so many.

import type { FlowMeter, NamespaceSample, NamespaceTotals } from '../meter/index.js';
import { GROUP_FAMILIES, METER_FAMILIES, type MeterReading, type NamespaceReading } from './meter-families.js';
import { type FamilyRow, type MetricFamily, readFamilies } from './metric-family.js';
import type { TopGroups } from './top-groups.js';

/** What else there is to tell. */
export interface MetricsOptions {
  /** The largest groups have metrics, too. Made once, for all scrapes. */
  readonly top?: TopGroups | undefined;
  /** What `conntrack_info` says. */
  readonly version?: string | undefined;
  /** Families of others. */
  readonly more?: readonly MetricFamily[] | undefined;
}

/** Series in all. */
export const MOST_SERIES = 1000;
/** Namespaces with series of their own. */
const MOST_NAMESPACES = 64;

/** What was cut. */
export const CUT_FAMILIES: readonly FamilyRow<number>[] = [
  {
    name: 'conntrack_metrics_series_dropped',
    type: 'gauge',
    help: `Series that are left out: there are at most ${MOST_SERIES}.`,
    labels: [],
    read: (cut, add) => add(cut),
  },
];

/** Reads all metrics. @throws ClosedError, or why the meter has ended */
export async function collectMetrics(meter: FlowMeter, options: MetricsOptions = {}): Promise<MetricFamily[]> {
  const { top, version, more = [] } = options;
  const { groups, cut } = top ? await top.read(meter) : { groups: [], cut: 0 };
  const reading: MeterReading = { version, status: meter.status, namespaces: namespacesOf(meter), groups };
  return bounded([...readFamilies(METER_FAMILIES, reading), ...more, ...readFamilies(GROUP_FAMILIES, reading)], cut);
}

/** The families, without the samples that are too many. */
function bounded(families: readonly MetricFamily[], cutBefore: number): MetricFamily[] {
  let left = MOST_SERIES - CUT_FAMILIES.length;
  let cut = cutBefore;
  const kept = families.flatMap((family) => {
    const samples = family.samples.slice(0, left);
    left -= samples.length;
    cut += family.samples.length - samples.length;
    return samples.length === 0 ? [] : [{ ...family, samples }];
  });
  return [...kept, ...readFamilies(CUT_FAMILIES, cut)];
}

function namespacesOf(meter: FlowMeter): NamespaceReading[] {
  const { notices } = meter.status;
  const totals = new Map(meter.totals().map((one) => [one.name, one]));
  const several = meter.sample.namespaces.length > 1;
  const all = meter.sample.namespaces.flatMap((sample): NamespaceReading[] => {
    const its = totals.get(sample.name);
    const uncounted = notices.some(({ code, netns = sample.name }) => code === 'ACCOUNTING_OFF' && netns === sample.name);
    return its ? [{ name: several ? sample.name : undefined, sample, totals: its, counted: !uncounted }] : [];
  });
  if (all.length <= MOST_NAMESPACES) return all;
  const rest = all.slice(MOST_NAMESPACES);
  return [...all.slice(0, MOST_NAMESPACES), rest.reduce(joined)];
}

/** Two namespaces as one. */
function joined(a: NamespaceReading, b: NamespaceReading): NamespaceReading {
  const { entries, maxEntries, kernel }: Pick<NamespaceSample, 'entries' | 'maxEntries' | 'kernel'> = a.sample;
  const full = Math.min(a.sample.full ?? Number.POSITIVE_INFINITY, b.sample.full ?? Number.POSITIVE_INFINITY);
  return {
    name: 'other',
    sample: {
      entries: entries + b.sample.entries,
      ...(maxEntries !== undefined && b.sample.maxEntries !== undefined ? { maxEntries: maxEntries + b.sample.maxEntries } : {}),
      ...(Number.isFinite(full) ? { full } : {}),
      kernel: summed(kernel, b.sample.kernel),
      sysctls: { acct: undefined, events: undefined, timestamp: undefined },
    },
    totals: summed<Omit<NamespaceTotals, 'name'>>(a.totals, b.totals),
    counted: a.counted || b.counted,
  };
}

/** Adds up all numbers of two objects of the same shape. */
function summed<T>(a: T, b: T): T {
  if (typeof a === 'number') return (a + (b as number)) as T;
  if (typeof a !== 'object' || a === null) return a;
  if (Array.isArray(a)) return a.map((one, n) => summed(one, (b as unknown[])[n])) as T;
  return Object.fromEntries(
    Object.entries(a).map(([name, its]) => [name, summed(its, (b as Record<string, unknown>)[name])]),
  ) as T;
}
