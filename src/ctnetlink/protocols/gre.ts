// GRE (protocol 47): call keys, carried in the port attributes and printed in hexadecimal.

import type { Protocol } from '../schema.js';
import { IPPROTO_GRE } from '../uapi/in.js';

export const gre = { name: 'gre', number: IPPROTO_GRE, tuple: 'keys', optional: true } as const satisfies Protocol;
