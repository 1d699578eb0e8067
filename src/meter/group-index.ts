// GroupIndex: the number of each group by its key, at most LIMIT of them; flows of further groups belong to number 0, the rest. Senders
// of packets choose keys, so the hash is keyed. Outside the collector's reach.

import { HashKey } from '../library/index.js';
import type { Grouping } from './group-keys.js';

/** Groups of one grouping. */
export const MOST_GROUPS = 262_144;
/** Number of the group of what has no group of its own. */
export const REST = 0;

const FIRST_CAPACITY = 256;

export class GroupIndex {
  readonly #words: number;
  readonly #most: number;
  readonly #hashKey = HashKey.random();
  /** Groups by hash, 0: none; at most half full. */
  #places = new Int32Array(2 * FIRST_CAPACITY);
  #keys: Int32Array;
  #hashes = new Int32Array(FIRST_CAPACITY);
  #count = 1;

  constructor({ words }: Pick<Grouping, 'words'>, most = MOST_GROUPS) {
    this.#words = words;
    this.#most = most;
    this.#keys = new Int32Array(words * FIRST_CAPACITY);
  }

  /** Numbers of groups are below this. */
  get end(): number {
    return this.#count;
  }

  get capacity(): number {
    return this.#hashes.length;
  }

  /** The number of the group with this key, a new one if it has none yet. */
  numberOf(key: Int32Array): number {
    const hash = this.#hashOf(key);
    const found = this.#places[this.#placeOf(key, hash)]!;
    if (found !== 0) return found;
    if (this.#count > this.#most) return REST;
    if (this.#count === this.capacity) this.#grow();
    const group = this.#count++;
    this.#hashes[group] = hash;
    const at = group * this.#words;
    for (let w = 0; w < this.#words; w++) this.#keys[at + w] = key[w]!;
    this.#put(group);
    return group;
  }

  /** The number of the group with this key; 0 if there is none. */
  find(key: Int32Array): number {
    return this.#places[this.#placeOf(key, this.#hashOf(key))]!;
  }

  #hashOf(key: Int32Array): number {
    return this.#hashKey.hash(0, key, 0, this.#words);
  }

  /** Where the group with this key is, or an empty place. */
  #placeOf(key: Int32Array, hash: number): number {
    const mask = this.#places.length - 1;
    let place = hash & mask;
    for (let group = this.#places[place]!; group !== 0; group = this.#places[place]!) {
      if (this.#hashes[group] === hash && this.#has(group, key)) break;
      place = (place + 1) & mask;
    }
    return place;
  }

  /** The key of a group, borrowed. */
  keyOf(group: number): Int32Array {
    return this.#keys.subarray(group * this.#words, (group + 1) * this.#words);
  }

  #has(group: number, key: Int32Array): boolean {
    const at = group * this.#words;
    for (let w = 0; w < this.#words; w++) if (this.#keys[at + w] !== key[w]) return false;
    return true;
  }

  #put(group: number): void {
    const mask = this.#places.length - 1;
    let place = this.#hashes[group]! & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = group;
  }

  #grow(): void {
    const capacity = 2 * this.capacity;
    const keys = new Int32Array(this.#words * capacity);
    keys.set(this.#keys);
    this.#keys = keys;
    const hashes = new Int32Array(capacity);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#places = new Int32Array(2 * capacity);
    for (let group = 1; group < this.#count; group++) this.#put(group);
  }
}
