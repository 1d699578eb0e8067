// Why a file cannot be opened, read or written, in words.

import { errnoReason } from '../wire/errno.js';

/** Where a file is meant, these say more than the words for netlink. */
const OF_FILES: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a directory',
  ENOSPC: 'no space left on the device',
};

/** The reason in an error of `node:fs`. */
export function fileReason(error: unknown): string {
  const { code = 'EIO', errno = -5 } = error as NodeJS.ErrnoException;
  return OF_FILES[code] ?? errnoReason(-errno); // Node's numbers are negative, and it has no name for some
}
