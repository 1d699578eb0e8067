// HeldFlows: flows that somebody is looking at. Where lists are rare, the kernel is asked for each of them once in a while.

import { createFlowView } from '../ctnetlink/view.js';
import { isMissing } from '../errors.js';
import type { FlowStore } from './flow-store.js';
import type { MeteredNamespace } from './metered-namespace.js';

/** Flows that can be held, and how many are asked for at a time: 32 take a millisecond. */
const MOST = 256;
const AT_ONCE = 32;
/** Milliseconds for which what a list has just said is as good. */
const FRESH = 900;
/** Milliseconds of a turn: where the kernel is busy, each answer takes a while. */
const LONGEST_TURN = 5;

export class HeldFlows {
  readonly #store: FlowStore;
  /** Where they are, by their numbers. */
  #held: { readonly number: number; readonly slot: number }[] = [];
  #turn = 0;
  readonly #view = createFlowView();

  constructor(store: FlowStore) {
    this.#store = store;
  }

  /** Holds the flows with these numbers, and no others. */
  set(numbers: Iterable<number>): void {
    const wanted = new Set<number>();
    for (const number of numbers) if (wanted.size < MOST) wanted.add(number);
    // Only those that are new are searched for.
    const kept = this.#held.filter(({ number }) => wanted.delete(number));
    const slots = wanted.size === 0 ? [] : [...this.#store.columns.slotsOf(wanted)];
    this.#held = [...kept, ...slots.map(([number, slot]) => ({ number, slot }))];
  }

  /** Reads the counters of the next ones. @throws KernelError */
  measure(namespaces: readonly MeteredNamespace[]): void {
    const { columns, now } = this.#store;
    const view = this.#view;
    const end = performance.now() + LONGEST_TURN;
    for (let n = 0; n < Math.min(AT_ONCE, this.#held.length) && performance.now() < end; n++) {
      const { number, slot } = this.#held[this.#turn++ % this.#held.length]!;
      if (columns.serial[slot] !== number || (now - columns.seen[slot]!) >>> 0 < FRESH) continue;
      if (!this.#store.read(slot, view)) continue;
      const namespace = namespaces.find(({ table }) => table.index === columns.table[slot])!;
      try {
        namespace.measure(slot, view);
      } catch (error) {
        if (!isMissing(error)) throw error; // its end is on the way
      }
    }
  }
}
