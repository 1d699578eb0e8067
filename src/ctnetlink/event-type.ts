// What kind of event a message is. Source: docs/behaviour.md 4.11; docs/kernel.md 2.4.

import { IPCTNL_MSG_CT_DELETE } from './uapi/nfnetlink-conntrack.js';
import type { View } from './view.js';

/** 0 new, 1 update, 2 destroy: by message number, and by NLM_F_CREATE among the messages of number 0. */
export function eventType(view: View): 0 | 1 | 2 {
  if ((view.type & 0xff) === IPCTNL_MSG_CT_DELETE) return 2;
  return view.created ? 0 : 1;
}

/** Whether a flow's event is of a type that these multicast groups ask for; without groups every one is. */
export function isOfType(view: View, groups: number | undefined): boolean {
  return groups === undefined || ((groups >> eventType(view)) & 1) === 1;
}
