// How many threads this program can keep busy at the same time. This is a separate file because most commands never need it.

import { availableParallelism } from 'node:os';

/** At least 1: the caller's. */
export function processors(): number {
  return availableParallelism();
}
