// The flows that keys name, as the kernel and the meter have them now.

import { matches } from '../library/index.js';
import type { MeteredFlow } from '../meter/index.js';
import { type FlowKeyParts, isNamed } from './flow-keys.js';
import { namespaceOf, type RouteContext } from './route-context.js';
import { WebError } from './web-error.js';

/** The flow of a key as it is now, if it is the one that the key was made for, and is served. @throws WebError 404 */
export async function flowNamed(
  context: RouteContext,
  parts: FlowKeyParts,
  known: ReadonlyMap<number, MeteredFlow>,
): Promise<MeteredFlow> {
  const { epoch, options } = context;
  const metered = parts.epoch === epoch ? known.get(parts.number) : undefined;
  // Where the kernel keeps no times, a new flow with the same tuple and the same id is told by the meter, which saw the old one end.
  const hasEnded = parts.epoch === epoch && !isSameFlow(metered, parts);
  const flow = hasEnded ? undefined : await namespaceOf(context, parts.netns).get(parts.key);
  if (!flow || !isNamed(parts, flow) || (options.scope !== undefined && !matches(options.scope, flow))) throw flowEnded();
  return {
    number: parts.number,
    age: 0,
    counters: 'none',
    ...metered,
    flow,
    ...(parts.netns === undefined ? {} : { netns: parts.netns }),
  };
}

/** What the meter knows of the flows of keys that it made, by their numbers. */
export function meteredBy({ meter, epoch }: RouteContext, keys: readonly FlowKeyParts[]): ReadonlyMap<number, MeteredFlow> {
  const numbers = keys.filter((parts) => parts.epoch === epoch).map(({ number }) => number);
  return new Map(meter.getMany(numbers).flatMap((flow) => (flow ? [[flow.number, flow]] : [])));
}

export function flowEnded(): WebError {
  return new WebError(404, 'NOT_FOUND', 'this flow has ended');
}

/** Whether the number of a key is that of the flow that the rest of the key says. */
function isSameFlow(metered: MeteredFlow | undefined, { key, netns }: FlowKeyParts): metered is MeteredFlow {
  if (!metered || metered.netns !== netns) return false;
  const { id, original } = metered.flow;
  return key.id === id && key.original !== undefined && sameTuple(key.original, original);
}

/** Whether two sides have the same addresses and ports. */
export function sameTuple(
  a: {
    readonly src?: string | undefined;
    readonly dst?: string | undefined;
    readonly sport?: number | undefined;
    readonly dport?: number | undefined;
  },
  b: typeof a,
): boolean {
  return a.src === b.src && a.dst === b.dst && a.sport === b.sport && a.dport === b.dport;
}
