// Writes all bytes to a file descriptor: waits for a slow reader, and reports what cannot be written. Also converts messages to bytes.

import { writeSync } from 'node:fs';
import { ConntrackError } from '../../errors.js';
import { safeText } from '../../safe-text.js';
import { fileCode, fileReason } from '../file-reason.js';

/** Standard output cannot be written. `code` is the errno's name: EPIPE when the reader went away, ENOSPC when the disk is full. */
export class OutputError extends ConntrackError {
  readonly code: string;

  constructor(cause: unknown) {
    const code = fileCode(cause);
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    super(`cannot write the output: ${fileReason(cause)}`, {
      cause,
      hint: `what was printed is incomplete${full ? '; make room and run the command again' : ''}`,
    });
    this.code = code;
  }
}

/** A message for standard error, a terminal or a log: one line, whatever it contains. */
export function messageLine(text: string): Uint8Array {
  return new TextEncoder().encode(`${safeText(text)}\n`);
}

/** How long to wait before trying again when a descriptor is not ready (a pipe in non-blocking mode). */
const RETRY_MILLISECONDS = 2;

/** Writes `bytes` from 0 to `length`. @throws OutputError */
export function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  let done = 0;
  while (done < length) {
    try {
      done += writeSync(fd, bytes, done, length - done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') waitForOthers();
      else if (code !== 'EINTR') throw new OutputError(error);
    }
  }
}

/** Lets the other end of a descriptor that is not ready do something. */
export function waitForOthers(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MILLISECONDS);
}
