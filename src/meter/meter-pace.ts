// MeterPace: when the next list may begin. Each costs processor time, in this process and in the kernel, and all together may take a share
// of one processor.

import { processorTime } from './processor-time.js';

/** Lists whose cost counts: the median of them does. */
const COSTS = 3;

export class MeterPace {
  /** Milliseconds between lists, as asked for. */
  interval: number;
  /** Share of one processor, 0 to 1. */
  readonly share: number;
  readonly #time: () => number;
  readonly #costs: number[] = [];
  #begun = 0;

  /** `time`: the processor time that this process has taken, in milliseconds. */
  constructor(interval: number, share: number, time = processorTime) {
    this.interval = interval;
    this.share = share;
    this.#time = time;
  }

  /** Milliseconds from the beginning of one list to that of the next, as the share allows. */
  get affordable(): number {
    const sorted = [...this.#costs].sort((a, b) => a - b);
    return (sorted[sorted.length >> 1] ?? 0) / this.share;
  }

  /** The same, and not more often than asked for. */
  get now(): number {
    return Math.max(this.interval, this.affordable);
  }

  begin(): void {
    this.#begun = this.#time();
  }

  /** A list is complete. What else the process did meanwhile counts as its cost. */
  end(): void {
    this.#costs.push(this.#time() - this.#begun);
    if (this.#costs.length > COSTS) this.#costs.shift();
  }
}
