// What kind of event a message is. Source: docs/behaviour.md 4.11; docs/kernel.md 2.4.

import { IPCTNL_MSG_CT_DELETE } from './uapi/nfnetlink-conntrack.js';
import type { View } from './view.js';

/** 0 new, 1 update, 2 destroy: by message number, and for messages of number 0 by NLM_F_CREATE. */
export function eventType(view: View): 0 | 1 | 2 {
  if ((view.type & 0xff) === IPCTNL_MSG_CT_DELETE) return 2;
  return view.created ? 0 : 1;
}

/** Whether these multicast groups include the type of a flow's event. `undefined` includes every type. */
export function isOfType(view: View, groups: number | undefined): boolean {
  return groups === undefined || ((groups >> eventType(view)) & 1) === 1;
}
