// Why a file cannot be opened, read or written, in words.

import { errnoName, errnoReason } from '../wire/errno.js';

/** For files, these say more than the words for netlink. */
const OF_FILES: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a directory',
  ENOSPC: 'no space left on the device',
};

/** The reason in an error of `node:fs`. */
export function fileReason(error: unknown): string {
  return OF_FILES[(error as NodeJS.ErrnoException).code ?? ''] ?? errnoReason(errnoOf(error));
}

/** The name of its errno, such as EIO; Node.js has none for some. */
export function fileCode(error: unknown): string {
  return errnoName(errnoOf(error));
}

function errnoOf(error: unknown): number {
  const { errno = -EIO } = error as NodeJS.ErrnoException;
  return -errno; // Node's numbers are negative
}

const EIO = 5;
