// TimeSlice: measures how long the event loop has been busy, and yields to others.

/**
 * Milliseconds. A program that answers requests does not notice twice as much, which is the length of a turn when both families are
 * listed at once.
 */
const SLICE = 2;

export class TimeSlice {
  #since = performance.now();

  /** A new turn of the event loop has begun. */
  restart(): void {
    this.#since = performance.now();
  }

  /** A promise that settles in a later turn of the event loop if this one has lasted long enough; otherwise `undefined`. */
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
