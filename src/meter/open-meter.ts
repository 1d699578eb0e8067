// openMeter: a meter for one namespace or several.

import { Conntrack } from '../library/index.js';
import { FlowMeter, type MeterOptions } from './flow-meter.js';

/** The table of one network namespace, or those of several by name. */
export type Namespaces = Conntrack | ReadonlyMap<string, Conntrack>;

/**
 * Opens a meter; settles with the first list. Several namespaces are given by name, and share its budget of processor time.
 *
 * ```ts
 * await using conntrack = await Conntrack.open();
 * await using meter = await openMeter(conntrack);
 * for await (const { rate } of meter) console.log(rate, (await meter.groups({ by: 'src', limit: 3 })).groups);
 * ```
 *
 * @throws ValueError, FilterError, SystemError, KernelError, ClosedError, the signal's reason
 */
export function openMeter(conntrack: Namespaces, options: MeterOptions = {}): Promise<FlowMeter> {
  return FlowMeter.open(namespacesOf(conntrack), options);
}

/** By name; an only one is called `own`. A map is itself, as it is at any time. */
export function tablesOf(conntrack: Namespaces): ReadonlyMap<string, Conntrack> {
  return conntrack instanceof Conntrack ? new Map([['own', conntrack]]) : conntrack;
}

/** Each with its name, now. */
export function namespacesOf(conntrack: Namespaces): readonly (readonly [string, Conntrack])[] {
  return [...tablesOf(conntrack)];
}
