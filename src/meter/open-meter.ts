// openMeter: a meter for one namespace or several.

import { Conntrack } from '../library/index.js';
import { FlowMeter, type MeterOptions } from './flow-meter.js';

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
export function openMeter(conntrack: Conntrack | ReadonlyMap<string, Conntrack>, options: MeterOptions = {}): Promise<FlowMeter> {
  return FlowMeter.open(conntrack instanceof Conntrack ? [['own', conntrack]] : conntrack, options);
}
