// The running kernel's version, for the few differences that no request reveals.

import { release } from 'node:os';

/** Whether the running kernel has this version or a later one. */
export function kernelIsAtLeast(major: number, minor: number): boolean {
  const [ours = 0, patch = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && patch >= minor);
}
