// UDP (protocol 17): ports and nothing else.

import type { Protocol } from '../schema.js';
import { IPPROTO_UDP } from '../uapi/in.js';

export const udp = { name: 'udp', number: IPPROTO_UDP, tuple: 'ports' } as const satisfies Protocol;
