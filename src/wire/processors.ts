// How many threads this program can keep busy at the same time. A file of its own, to be loaded when that is asked: most commands never do.

import { availableParallelism } from 'node:os';
import { CALLS_ON_THREADS } from './ffi.js';

/** At least 1: the caller's. */
export function processors(): number {
  return CALLS_ON_THREADS ? availableParallelism() : 1;
}
