// Who may change the table of a host: a file of that host, a line for each key. Neither the servers nor whoever stole a connection is in it.

import { readFileSync, statSync } from 'node:fs';
import { parseFilter } from '../library/index.js';
import { CHANGES, type ChangeKind } from './change-request.js';
import { FleetError } from './fleet-error.js';
import { isPublicKey } from './nkey.js';
import { isName } from './subjects.js';

/** Somebody who may change something. */
export interface Changer {
  readonly name: string;
  readonly key: string;
  readonly allow: readonly ChangeKind[];
  /** What is asked is narrowed to this. */
  readonly filter: string | undefined;
}

const MOST_BYTES = 1 << 20;

/** `NAME KEY delete[,update] [FILTER]`, a line for each; `#` begins a comment. @throws FleetError `CONFIG` with the number of the line */
export function parseChangers(text: string, path: string): readonly Changer[] {
  const changers: Changer[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    const [name, key = '', kinds = '', ...rest] = words;
    const wrong = (what: string) =>
      new FleetError('CONFIG', `${path}, line ${index + 1}: ${what}`, { hint: 'a line is NAME KEY delete,update [FILTER]' });
    const allow = kinds.split(',');
    if (!isName(name)) throw wrong(`${JSON.stringify(name)} is no name for a fleet`);
    if (!isPublicKey(key)) throw wrong(`${name} has no public key of a user: U and 55 letters and digits`);
    if (!allow.every((kind): kind is ChangeKind => (CHANGES as readonly string[]).includes(kind)))
      throw wrong(`${name} may ${JSON.stringify(kinds)}: it must be ${CHANGES.join(', ')}, or both`);
    if (changers.some((other) => other.key === key)) throw wrong(`the key of ${name} is there twice`);
    const filter = rest.join(' ') || undefined;
    try {
      if (filter !== undefined) parseFilter(filter);
    } catch (error) {
      throw wrong(`the filter of ${name}: ${(error as Error).message}`);
    }
    changers.push({ name, key, allow, filter });
  }
  return changers;
}

/** The file, as it is when it is asked. */
export class ChangersFile {
  readonly #path: string;
  #read: { readonly state: string; readonly changers: readonly Changer[] } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws FleetError `CONFIG` if it cannot be read, or if others may write it */
  get all(): readonly Changer[] {
    try {
      const { mode, size, mtimeNs, ino } = statSync(this.#path, { bigint: true });
      if ((mode & 0o022n) !== 0n)
        throw new FleetError('CONFIG', `others may write ${this.#path}`, { hint: `chmod go-w ${this.#path}` });
      if (size > MOST_BYTES) throw new FleetError('CONFIG', `${this.#path} is too large`);
      const state = `${size} ${mtimeNs} ${ino}`;
      if (this.#read?.state !== state)
        this.#read = { state, changers: parseChangers(readFileSync(this.#path, 'utf8'), this.#path) };
      return this.#read.changers;
    } catch (error) {
      if (error instanceof FleetError) throw error;
      throw new FleetError('CONFIG', `cannot read who may change something: ${(error as Error).message}`, { cause: error });
    }
  }
}
