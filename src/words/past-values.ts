// What the words about records share: the directories, and times; what the library refuses is a mistake on the command line.

import { UsageError } from '../cli/usage-error.js';
import { ValueError } from '../errors.js';
import type { WordLine } from './word-line.js';
import { textOf } from './word-values.js';

/** Where records are by default. */
export const RECORD_DIRECTORY = '/var/lib/conntrack';

export function directoriesOf({ values }: WordLine): readonly string[] {
  return (values['dir'] as readonly string[] | undefined) ?? [RECORD_DIRECTORY];
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
