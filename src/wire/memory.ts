// What the C library does with memory that nobody needs any longer.

import { libc } from './ffi.js';

/** malloc.h of glibc */
const M_MMAP_THRESHOLD = -3;
/** Bytes: smaller blocks come from the heap, as ever. */
const LARGE = 1 << 18;

/**
 * From here on large blocks are the kernel's again as soon as they are freed. glibc would otherwise take them from its heap once some have
 * been freed, and keep it: beside 100 MB of tables that grow, 30 MB. For programs that run long; where there is no such option, nothing
 * happens.
 */
export function returnFreedMemory(): void {
  libc().mallopt?.(M_MMAP_THRESHOLD, LARGE);
}
