// GroupHistory: the rate of the largest groups during the last minute, for small pictures beside them.

import { largestOf } from './largest.js';

/** Groups that have a history. */
const MOST = 256;
/** How far back it goes, in milliseconds. */
const SPAN = 60_000;

interface Point {
  readonly at: number;
  /** Bytes per second, both directions. */
  readonly rate: number;
}

export class GroupHistory {
  #points = new Map<number, Point[]>();

  /** Notes the rates of a sample by group, at a time in milliseconds. */
  add(at: number, rates: Float64Array): void {
    const next = new Map<number, Point[]>();
    for (const group of largestOf(rates, MOST)) {
      if (rates[group]! <= 0) break;
      const points = (this.#points.get(group) ?? []).filter((point) => at - point.at < SPAN);
      points.push({ at, rate: rates[group]! });
      next.set(group, points);
    }
    this.#points = next;
  }

  /** Bytes per second at each sample of the last minute, oldest first; `undefined` for a group that is too small. */
  of(group: number): readonly number[] | undefined {
    return this.#points.get(group)?.map(({ rate }) => rate);
  }

  /** The groups have got new numbers, old ones are the indexes. */
  renumber(numbers: Int32Array): void {
    const next = new Map<number, Point[]>();
    for (const [group, points] of this.#points) if (numbers[group]! !== 0) next.set(numbers[group]!, points);
    this.#points = next;
  }
}
