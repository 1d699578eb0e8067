// Which kernel runs: for the few differences that cannot be found out by asking it.

import { readFileSync } from 'node:fs';

/** Whether the running kernel is of this version or later. */
export function kernelIsAtLeast(major: number, minor: number): boolean {
  const [ours = 0, patch = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
  return ours > major || (ours === major && patch >= minor);
}
