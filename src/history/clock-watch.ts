// ClockWatch: notices when the wall clock is set, when the machine slept, and how well the clock is kept.

import { uptime } from 'node:os';
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

/** The machine slept. Microseconds since the epoch, by the clock as it is afterwards. */
export interface Sleep {
  readonly from: number;
  readonly to: number;
}

/** Where the time comes from. Microseconds. */
export interface Clocks {
  /** Since the epoch. */
  readonly wall: () => number;
  /** Since some moment, without the times at which the machine slept: CLOCK_MONOTONIC. */
  readonly awake: () => number;
  /** The same with them: CLOCK_BOOTTIME, in steps of ten milliseconds. */
  readonly booted: () => number;
  readonly error: () => ClockError | undefined;
}

const SYSTEM: Clocks = {
  wall: () => Date.now() * 1000,
  awake: () => performance.now() * 1000,
  booted: () => uptime() * 1_000_000,
  error: clockError,
};

/** Clocks that are read one after the other belong together if no more microseconds pass meanwhile. */
const TOGETHER = 20_000;
const TRIES = 5;

/** Clocks at the same moment. */
interface Reading {
  readonly wall: number;
  readonly awake: number;
  readonly booted: number;
}

export class ClockWatch {
  readonly #clocks: Clocks;
  #class: string | undefined;
  #error: ClockError | undefined;
  /** As they were looked at last. */
  #last: Reading | undefined;

  constructor(clocks: Partial<Clocks> = {}) {
    this.#clocks = { ...SYSTEM, ...clocks };
    this.#last = this.#read();
  }

  /** How well the clock is kept, as it was found last; `undefined`: the system does not tell. */
  get class(): string | undefined {
    return this.#class;
  }

  /** What the system said of the clock last. */
  get error(): ClockError | undefined {
    return this.#error;
  }

  /** To be called now and then. @returns whether how well the clock is kept is in another class than before */
  check(): boolean {
    const error = this.#clocks.error();
    this.#error = error;
    const now = error && classOf(error);
    if (now === this.#class) return false;
    this.#class = now;
    return true;
  }

  /** To be called once a second. @returns what has happened since, if something has */
  look(): { readonly step?: ClockStep; readonly sleep?: Sleep } {
    const now = this.#read();
    const last = this.#last;
    if (!now) return {};
    this.#last = now;
    if (!last) return {};
    const passed = now.booted - last.booted;
    const slept = passed - (now.awake - last.awake);
    const delta = Math.round(now.wall - last.wall - passed);
    const at = now.wall;
    return {
      ...(Math.abs(delta) > STEP ? { step: { at, before: at - delta, after: at, delta } } : {}),
      ...(slept > STEP ? { sleep: { from: Math.round(at - passed), to: at } } : {}),
    };
  }

  /** `undefined`: others have the processors, and the clocks cannot be read together. */
  #read(): Reading | undefined {
    const { wall, awake, booted } = this.#clocks;
    for (let tries = 0; tries < TRIES; tries++) {
      const before = awake();
      const reading = { wall: wall(), booted: booted(), awake: awake() };
      if (reading.awake - before <= TOGETHER) return reading;
    }
    return undefined;
  }
}
