// Hooks: which functions of the kernel see the packets of a network namespace (nfnetlink_hook, Linux 5.14).

import { compilePolicy, slotsOf } from './policy.js';
import type { Fields } from './schema.js';
import { NFNLA_HOOK_FUNCTION_NAME, NFNLA_HOOK_HOOKNUM, NFNLA_HOOK_PRIORITY } from './uapi/nfnetlink-hook.js';
import { View } from './view.js';

export const hookFields = {
  hook: { path: [NFNLA_HOOK_HOOKNUM], kind: 'be32', doc: 'Where packets are seen: NF_INET_*.' },
  priority: { path: [NFNLA_HOOK_PRIORITY], kind: 'be32', doc: 'Order among the functions of a hook: the smallest comes first.' },
  function: { path: [NFNLA_HOOK_FUNCTION_NAME], kind: 'string', doc: 'Name of the function, if the kernel knows names.' },
} as const satisfies Fields;

const H = slotsOf(0, hookFields);

/** A view of the hooks at one point of the packet path. */
export function createHookView(): View {
  return new View(compilePolicy([], hookFields));
}

/** The functions that look up or begin a flow for an arriving packet; there are no others. Source: nf_conntrack_proto.c. */
const TRACKERS: ReadonlySet<string> = new Set(['ipv4_conntrack_in', 'ipv6_conntrack_in']);

/** Whether a hook is connection tracking itself; `undefined` if the kernel does not name its functions. */
export function isTracker(view: View): boolean | undefined {
  if (!view.has(H.function)) return undefined;
  const at = view.offset(H.function);
  return TRACKERS.has(new TextDecoder().decode(view.bytes.subarray(at, at + view.stringLength(H.function))));
}
