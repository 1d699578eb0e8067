// TimeSlice: how long the event loop has been kept busy, and the way to let others have it.

/**
 * Milliseconds. A program that answers requests does not notice twice as much, which is what a turn of the event loop has when
 * both families are listed at once.
 */
const SLICE = 2;

export class TimeSlice {
  #since = performance.now();

  /** A new turn of the event loop has begun. */
  restart(): void {
    this.#since = performance.now();
  }

  /** A promise that settles in a later turn of the event loop when this one has lasted long enough; else `undefined`. */
  pause(): Promise<void> | undefined {
    if (performance.now() - this.#since < SLICE) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.restart();
        resolve();
      });
    });
  }
}
