// Bytes to a file descriptor, all of them: waits for a slow reader, reports what cannot be written.

import { writeSync } from 'node:fs';
import { ConntrackError } from '../errors.js';

/** Standard output cannot be written. `code` is the errno's name: EPIPE when the reader went away, ENOSPC when the disk is full. */
export class OutputError extends ConntrackError {
  readonly code: string;

  constructor(code: string, cause: unknown) {
    super(`cannot write the output: ${code === 'ENOSPC' ? 'no space left on the device' : code}`, {
      cause,
      hint: code === 'ENOSPC' ? 'what was printed is incomplete; make room and run the command again' : undefined,
    });
    this.code = code;
  }
}

/** How long to wait before a descriptor that is not ready (a pipe in non-blocking mode) is tried again. */
const RETRY_MILLISECONDS = 2;

/** Writes `bytes` from 0 to `length`. @throws OutputError */
export function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  let done = 0;
  while (done < length) {
    try {
      done += writeSync(fd, bytes, done, length - done);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MILLISECONDS);
      else if (code !== 'EINTR') throw new OutputError(code, error);
    }
  }
}
