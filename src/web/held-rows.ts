// HeldRows: the rows that viewers look at, each viewer others: the meter keeps them fresh until nobody has asked for a while.

import type { FlowMeter } from '../meter/index.js';

/** Rows of an answer that are held. */
const MOST = 64;

export class HeldRows {
  readonly #meter: Pick<FlowMeter, 'hold'>;
  /** Milliseconds for which a row is held after a question. */
  readonly #kept: number;
  readonly #now: () => number;
  /** By number until when, the newest last. */
  #rows = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(meter: Pick<FlowMeter, 'hold'>, kept: number, now: () => number = () => performance.now()) {
    this.#meter = meter;
    this.#kept = kept;
    this.#now = now;
  }

  hold(numbers: readonly number[]): void {
    const until = this.#now() + this.#kept;
    for (const number of numbers.slice(0, MOST)) {
      this.#rows.delete(number);
      this.#rows.set(number, until);
    }
    this.#tell();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    const now = this.#now();
    this.#rows = new Map([...this.#rows].filter(([, until]) => until > now));
    this.#meter.hold([...this.#rows.keys()].reverse());
    clearTimeout(this.#timer);
    if (this.#rows.size > 0) this.#timer = setTimeout(() => this.#tell(), this.#kept + 1).unref();
  }
}
