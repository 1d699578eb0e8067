// ClockWatch: notices when the wall clock is set, and how well it is kept.

import { performance } from 'node:perf_hooks';
import { type ClockError, clockError } from '../wire/clock-error.js';

/** A change of more than that within a second is a step: microseconds. */
const STEP = 100_000;

/** What happened to the clock. Microseconds. */
export interface ClockStep {
  readonly at: number;
  readonly before: number;
  readonly after: number;
  readonly delta: number;
}

/** Classes of how well a clock is kept, by the greatest error in microseconds. */
const CLASSES: readonly (readonly [most: number, name: string])[] = [
  [10_000, 'synchronised within 10 ms'],
  [100_000, 'synchronised within 100 ms'],
  [1_000_000, 'synchronised within 1 s'],
  [Number.POSITIVE_INFINITY, 'synchronised, but may be off by more than 1 s'],
];

/** How well a clock is kept, in words. */
function classOf({ synchronised, most }: ClockError): string {
  return synchronised ? CLASSES.find(([limit]) => most < limit)![1] : 'not synchronised';
}

export class ClockWatch {
  readonly #wall: () => number;
  readonly #steady: () => number;
  readonly #error: () => ClockError | undefined;
  #class: string | undefined;
  /** Wall time less steady time. */
  #offset: number;

  /** `wall`: microseconds since the epoch; `steady`: microseconds of a clock that nobody sets. */
  constructor(wall = () => Date.now() * 1000, steady = () => performance.now() * 1000, error = clockError) {
    this.#wall = wall;
    this.#steady = steady;
    this.#error = error;
    this.#offset = wall() - steady();
  }

  /** How well the clock is kept, as it was found last; `undefined`: the system does not tell. */
  get class(): string | undefined {
    return this.#class;
  }

  /** To be called now and then. @returns whether how well the clock is kept is in another class than before */
  check(): boolean {
    const error = this.#error();
    const now = error && classOf(error);
    if (now === this.#class) return false;
    this.#class = now;
    return true;
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
