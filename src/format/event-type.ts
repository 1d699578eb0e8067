// What kind of event a message is, as words. Source: cli.md 4.11; ctnetlink.md 2.4.

import { IPCTNL_MSG_CT_DELETE } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import type { View } from '../ctnetlink/view.js';
import { type Token, token } from './byte-writer.js';

const NEW = token('    [NEW] ');
const UPDATE = token(' [UPDATE] ');
const DESTROY = token('[DESTROY] ');

/** 0 new, 1 update, 2 destroy: by message number, and by NLM_F_CREATE among the messages of number 0. */
export function eventType(view: View): 0 | 1 | 2 {
  if ((view.type & 0xff) === IPCTNL_MSG_CT_DELETE) return 2;
  return view.created ? 0 : 1;
}

/** Right-aligned, with its trailing space. */
export function eventTypeToken(view: View): Token {
  const type = eventType(view);
  return type === 0 ? NEW : type === 1 ? UPDATE : DESTROY;
}
