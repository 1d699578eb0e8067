// Whether packets of a network namespace are tracked at all. Tracking starts with the first rule that needs it.

import { createHookView, isTracker } from '../ctnetlink/hook.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import { NF_INET_PRE_ROUTING, NFNLA_HOOK_HOOKNUM } from '../ctnetlink/uapi/nfnetlink-hook.js';
import { KernelError } from '../errors.js';
import { Channel } from './channel.js';
import { HOOK_GET } from './requests.js';
import type { ConntrackTable } from './table.js';

/** Whether packets of each family are tracked; `undefined` if the kernel does not say. */
export interface TrackedFamilies {
  readonly ipv4: boolean | undefined;
  readonly ipv6: boolean | undefined;
}

/**
 * Whether the kernel tracks packets of either family in this table's namespace. `undefined` if it does not say: before Linux 5.14, or
 * built without CONFIG_NETFILTER_NETLINK_HOOK or without names of functions. @throws SystemError, DecodeError
 */
export async function isTracking(table: ConntrackTable): Promise<boolean | undefined> {
  const { ipv4, ipv6 } = await trackedFamilies(table);
  return ipv4 || ipv6 || (ipv4 === undefined || ipv6 === undefined ? undefined : false);
}

/** As `isTracking`, for each family. @throws SystemError, DecodeError */
export async function trackedFamilies({ place }: ConntrackTable): Promise<TrackedFamilies> {
  const channel = new Channel(place.transport({ namespace: place.namespace }));
  try {
    return { ipv4: await isTracked(channel, AF_INET), ipv6: await isTracked(channel, AF_INET6) };
  } catch (error) {
    if (error instanceof KernelError) return { ipv4: undefined, ipv6: undefined };
    throw error;
  } finally {
    channel.close();
  }
}

async function isTracked(channel: Channel, family: number): Promise<boolean | undefined> {
  const view = createHookView();
  let found = false;
  let named = true;
  const message = (bytes: Uint8Array, at: number, end: number) => {
    view.decode(bytes, at, end);
    const tracker = isTracker(view);
    if (tracker) found = true;
    if (tracker === undefined) named = false;
  };
  await channel.dump(HOOK_GET, family, (out) => out.be32(NFNLA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING), { message });
  return found || (named ? false : undefined);
}
