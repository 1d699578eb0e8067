// What queries may take of a processor: a quarter, over a minute. Whoever asks more than that waits.

/** Part of one processor. */
const SHARE = 0.25;
/** Milliseconds that can be saved up. */
const MOST_SAVED = 60_000 * SHARE;

export class DumpBudget {
  readonly #now: () => number;
  #saved = MOST_SAVED;
  #at: number;

  /** `now`: milliseconds of a clock that only goes on. */
  constructor(now: () => number) {
    this.#now = now;
    this.#at = now();
  }

  /** Milliseconds until something may begin; 0: now. */
  get wait(): number {
    this.#save();
    return this.#saved > 0 ? 0 : Math.ceil(-this.#saved / SHARE) + 1;
  }

  /** Milliseconds of a processor were used. */
  spend(milliseconds: number): void {
    this.#save();
    this.#saved -= milliseconds;
  }

  #save(): void {
    const now = this.#now();
    this.#saved = Math.min(MOST_SAVED, this.#saved + (now - this.#at) * SHARE);
    this.#at = now;
  }
}
