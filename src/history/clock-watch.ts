// ClockWatch: notices when the wall clock is set, and when the machine slept.

import { performance } from 'node:perf_hooks';

/** A change of more than that within a second is a step: microseconds. */
const STEP = 100_000;

/** What happened to the clock. Microseconds. */
export interface ClockStep {
  readonly at: number;
  readonly before: number;
  readonly after: number;
  readonly delta: number;
}

export class ClockWatch {
  readonly #wall: () => number;
  readonly #steady: () => number;
  /** Wall time less steady time. */
  #offset: number;

  /** `wall`: microseconds since the epoch; `steady`: microseconds of a clock that nobody sets. */
  constructor(wall = () => Date.now() * 1000, steady = () => performance.now() * 1000) {
    this.#wall = wall;
    this.#steady = steady;
    this.#offset = wall() - steady();
  }

  /** To be called once a second. @returns the step, if there was one */
  look(): ClockStep | undefined {
    const at = this.#wall();
    const offset = at - this.#steady();
    const delta = Math.round(offset - this.#offset);
    this.#offset = offset;
    return Math.abs(delta) > STEP ? { at, before: at - delta, after: at, delta } : undefined;
  }
}
