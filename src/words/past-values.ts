// What the words about records share: the directories, and times; what the library refuses is a mistake on the command line.

import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { userInfo } from 'node:os';
import { UsageError } from '../cli/usage-error.js';
import { ValueError } from '../errors.js';
import { HistoryError } from '../history/segment-meta.js';
import { safeJson } from '../safe-text.js';
import type { WordLine } from './word-line.js';
import { textOf } from './word-values.js';

/** Where records are by default. */
export const RECORD_DIRECTORY = '/var/lib/conntrack';

export function directoriesOf({ values }: WordLine): readonly string[] {
  return (values['dir'] as readonly string[] | undefined) ?? [RECORD_DIRECTORY];
}

/**
 * Writes into `access.ndjson` of each directory that has one who asks what; not of root, who may change it. What cannot be written down is
 * not answered.
 * @throws HistoryError, the system's error
 */
export function writeAccess(directories: readonly string[], { argv, getuid }: NodeJS.Process): void {
  const uid = getuid!();
  if (uid === 0) return;
  for (const directory of directories) {
    const path = `${directory}/access.ndjson`;
    const entry = { at: new Date().toISOString(), uid, user: userName(), asked: argv.slice(2) };
    const fd = openIfWanted(path);
    if (fd === undefined) continue;
    try {
      writeSync(fd, `${safeJson(entry)}\n`);
    } finally {
      closeSync(fd);
    }
  }
}

/** `undefined`: there is no such file, or nobody here may look: then the directory cannot be read either. @throws HistoryError */
function openIfWanted(path: string): number | undefined {
  try {
    if (!statSync(path, { throwIfNoEntry: false })) return undefined;
  } catch {
    return undefined;
  }
  try {
    return openSync(path, APPEND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    throw new HistoryError('DENIED', `cannot write to ${path}: permission denied`, {
      hint: 'who asks is written down there first; without that there is no answer',
      cause: error,
    });
  }
}

/** Without making it: it may be gone by now. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined; // the system does not know one
  }
}

/** `--from` and `--to`. */
export function spanOf(line: WordLine): { readonly from: string | undefined; readonly to: string | undefined } {
  return { from: textOf(line, 'from'), to: textOf(line, 'to') };
}

/** Runs what reads values of the command line. @throws UsageError for a value that is refused */
export async function readingValues<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ValueError) throw new UsageError(error.message, { hint: error.hint });
    throw error;
  }
}
