// Counters of a CPU as objects.

import { type CPU_STATISTICS, type EXPECTATION_STATISTICS, statisticMember } from '../ctnetlink/statistics.js';
import type { View } from '../ctnetlink/view.js';

type CamelCase<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<CamelCase<B>>}` : S;
type Counters<Names extends readonly string[]> = { readonly [K in Names[number] as CamelCase<K>]?: number };

/**
 * Counters of one CPU since the namespace began, 32 bits wide: they wrap round. Names are those of `-S`, in camel case
 * (`insert_failed` is `insertFailed`); what the kernel did not send is absent. Source: CT_GET_STATS_CPU.
 */
export type CpuStatistics = { readonly cpu: number } & Counters<typeof CPU_STATISTICS>;

/** As `CpuStatistics`, for expectations. Source: EXP_GET_STATS_CPU. */
export type ExpectationStatistics = { readonly cpu: number } & Counters<typeof EXPECTATION_STATISTICS>;

export function toStatistics<S extends { readonly cpu: number }>(view: View, names: readonly string[]): S {
  const counters: Record<string, number> = { cpu: view.resourceId };
  names.forEach((name, slot) => {
    if (view.has(slot)) counters[statisticMember(name)] = view.be32(slot);
  });
  return counters as unknown as S;
}
