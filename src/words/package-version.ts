// The version of this package, for words that tell it.

import { readFileSync } from 'node:fs';

/** `undefined` if its file is not near, as in the standalone executable. */
export function packageVersion(): string | undefined {
  try {
    return (JSON.parse(readFileSync(`${import.meta.dirname}/../package.json`, 'utf8')) as { readonly version: string }).version;
  } catch {
    return undefined;
  }
}
