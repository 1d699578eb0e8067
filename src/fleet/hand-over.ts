// HandOver: values from one who has them to one who takes them, one at a time.

import { onAbort, type Signal } from '../library/index.js';

/**
 * Yields what `work` gives away, as it is taken; leaving the loop, or the signal, ends the work by the signal that it gets.
 * @returns what the work settles with @throws what it throws; the reason of a signal that comes before it
 */
export async function* handedOver<T, R>(
  signal: Signal | undefined,
  work: (give: (values: readonly T[]) => Promise<void>, signal: AbortSignal) => Promise<R>,
): AsyncGenerator<T, R, undefined> {
  signal?.throwIfAborted();
  const abort = new AbortController();
  const heeding = onAbort(signal, () => abort.abort());
  const hand = new HandOver<readonly T[]>();
  const working = work((values) => hand.give(values), abort.signal).finally(() => hand.end());
  working.catch(() => {}); // awaited below
  try {
    for (let some = await hand.take(); some; some = await hand.take()) yield* some;
    return await working;
  } finally {
    heeding();
    abort.abort();
    hand.end();
  }
}

/** Hands values from one who has them to one who takes them: `give` settles when its value was taken and the next is asked for. */
class HandOver<T> {
  #value: T | undefined;
  #ended = false;
  #taken = () => {};
  #came = () => {};

  give(value: T): Promise<void> {
    if (this.#ended) return Promise.resolve();
    this.#value = value;
    this.#came();
    return new Promise((resolve) => {
      this.#taken = resolve;
    });
  }

  /** The next value; `undefined`: there is none any more. */
  async take(): Promise<T | undefined> {
    this.#taken();
    while (this.#value === undefined && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#came = resolve;
      });
    const value = this.#value;
    this.#value = undefined;
    return value;
  }

  end(): void {
    this.#ended = true;
    this.#came();
    this.#taken();
  }
}
