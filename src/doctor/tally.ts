// Tally: numbers by key, in columns: groups of flows while a list passes by. At most 262,144 groups; what is beyond is left out.

import { GroupIndex, REST } from '../meter/group-index.js';

export class Tally<C extends string> {
  /** The key of the next `slot`. */
  readonly key: Int32Array;
  readonly #index: GroupIndex;
  readonly #columns: Record<C, Float64Array>;
  #capacity: number;
  /** Whether there were more groups than it keeps. */
  overflowed = false;

  constructor(words: number, columns: readonly C[]) {
    this.key = new Int32Array(words);
    this.#index = new GroupIndex({ words });
    this.#capacity = this.#index.capacity;
    this.#columns = Object.fromEntries(columns.map((name) => [name, new Float64Array(this.#capacity)])) as Record<
      C,
      Float64Array
    >;
  }

  /** The group of `key`, a new one if need be; 0: there is no room for it. */
  slot(): number {
    const slot = this.#index.numberOf(this.key);
    if (slot === REST) this.overflowed = true;
    if (this.#index.capacity > this.#capacity) this.#grow();
    return slot;
  }

  /** The group of `key`; 0: there is none. */
  find(): number {
    return this.#index.find(this.key);
  }

  column(name: C): Float64Array {
    return this.#columns[name];
  }

  /** The key of a group, borrowed. */
  keyOf(slot: number): Int32Array {
    return this.#index.keyOf(slot);
  }

  /** Groups for which `wanted` holds, the largest in a column first. */
  largest(by: C, most: number, wanted: (slot: number) => boolean = () => true): number[] {
    const values = this.#columns[by];
    const slots: number[] = [];
    for (let slot = 1; slot < this.#index.end; slot++) if (wanted(slot)) slots.push(slot);
    return slots.sort((a, b) => values[b]! - values[a]!).slice(0, most);
  }

  #grow(): void {
    this.#capacity = this.#index.capacity;
    for (const name of Object.keys(this.#columns) as C[]) {
      const grown = new Float64Array(this.#capacity);
      grown.set(this.#columns[name]);
      this.#columns[name] = grown;
    }
  }
}
