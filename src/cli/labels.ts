// The label map of a command line: which file, and the warning if it is missing. Behaviour: docs/behaviour.md 3.10.

import { readFileSync } from 'node:fs';
import { LABEL_FILE, LabelMap } from '../ctnetlink/label.js';
import { didYouMean } from '../nearest.js';
import { quoted, UsageError } from './usage-error.js';

/** Reads a map at most once, and only on demand. If the file cannot be used, `warn` is called and the command goes on. */
export class LabelSource {
  readonly #warn: (line: string) => void;
  #map: LabelMap | undefined;
  #path: string | undefined;

  constructor(warn: (line: string) => void) {
    this.#warn = warn;
  }

  /** The map of `path`, or of the system; `undefined` if there is none. */
  load(path = LABEL_FILE): LabelMap | undefined {
    if (this.#path === path) return this.#map;
    this.#path = path;
    this.#map = undefined;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      this.#warn(`label file ${path} cannot be read (${code === 'ENOENT' ? 'it does not exist' : code}): labels have no names`);
      return undefined;
    }
    const map = LabelMap.parse(text);
    if (map.size > 0) this.#map = map;
    else this.#warn(`label file ${path} has no line of the form NUMBER NAME: labels have no names`);
    return this.#map;
  }

  /** Bits of label names. @throws UsageError for a name that the map lacks */
  resolve(names: readonly string[], path: string | undefined): ReadonlyMap<string, number> {
    const map = this.load(path);
    return new Map(
      names.map((name) => {
        const bit = map?.bit(name);
        if (bit === undefined)
          throw new UsageError(`unknown label ${quoted(name)}${map ? didYouMean(name, map.names()) : ''}`, {
            hint: `labels get their names in ${path ?? LABEL_FILE}, one "NUMBER NAME" a line; --labelmap names another file`,
          });
        return [name, bit] as const;
      }),
    );
  }
}
