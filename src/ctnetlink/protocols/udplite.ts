// UDP-Lite (protocol 136): ports and nothing else. Kernels before 7.0 track it.

import type { Protocol } from '../schema.js';
import { IPPROTO_UDPLITE } from '../uapi/in.js';

export const udplite = { name: 'udplite', number: IPPROTO_UDPLITE, tuple: 'ports', optional: true } as const satisfies Protocol;
