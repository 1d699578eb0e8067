// Which kernel runs: for the few differences that cannot be found out by asking it.

import { release } from 'node:os';

/** Whether the running kernel is of this version or later. */
export function kernelIsAtLeast(major: number, minor: number): boolean {
  const [ours = 0, patch = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && patch >= minor);
}
