// endProcess: the end of a command.

import { fstatSync } from 'node:fs';
import { libc } from './ffi.js';
import { WritableDescriptor } from './writable.js';

/** Milliseconds in which nobody loses a terminal: short commands look for no such thing. */
const SHORT = 500;

/**
 * Ends the process. Node.js before 24 aborts, with a stack trace and a core file, if the terminal it was started on is gone by then; so
 * the last of the functions that run at the end ends it instead.
 */
export function endProcess(status: number): never {
  if (performance.now() > SHORT && [0, 1, 2].some(isLostTerminal)) process.once('exit', () => libc().exit(status));
  process.exit(status);
}

/** Also other devices that are broken, which do not mind. */
function isLostTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && new WritableDescriptor(fd).broken;
  } catch {
    return false; // closed, or libc cannot be called
  }
}
