// Reading what may not be readable, and waiting.

import { ClosedError, ConntrackError } from '../errors.js';
import { onAbort, type Signal } from '../library/index.js';
import type { Reading } from './snapshot.js';

/** Something that is not known here, without an error of anybody. */
export class NotRead extends Error {}

/** Reads; what the system refuses is not known. @throws what is no refusal */
export async function reading<T>(read: () => T | Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (error instanceof NotRead) return { unknown: error.message };
    if (error instanceof ClosedError) throw error;
    if (error instanceof ConntrackError) return { unknown: error.message };
    const { code, syscall } = error as NodeJS.ErrnoException;
    // An error of a file; others are ours.
    if (typeof code !== 'string' || typeof syscall !== 'string') throw error;
    return { unknown: FILE_REASONS[code] ?? code };
  }
}

const FILE_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};

/** Waits so many milliseconds. @throws the signal's reason */
export function pauseFor(milliseconds: number, signal: Signal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (milliseconds <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      heedNoMore();
      resolve();
    }, milliseconds);
    const heedNoMore = onAbort(signal, (reason) => {
      clearTimeout(timer);
      reject(reason);
    });
  });
}
