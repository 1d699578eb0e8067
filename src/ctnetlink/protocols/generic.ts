// Every protocol without a tracker of its own: entries differ by their address pair only.

import type { Protocol } from '../schema.js';

/** Printed as `unknown`; `number` is a placeholder, the tuple carries the real one. */
export const generic = { name: 'unknown', number: -1, tuple: 'none' } as const satisfies Protocol;
