// How many threads this program can keep busy at the same time. This is a separate file because most commands never need it.

import { availableParallelism } from 'node:os';
import { CALLS_ON_THREADS } from './ffi.js';

/** At least 1: the caller's. */
export function processors(): number {
  return CALLS_ON_THREADS ? availableParallelism() : 1;
}
