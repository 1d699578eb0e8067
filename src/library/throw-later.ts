// throwLater: handles an exception of a callback that is called in the middle of other work.

/** Throws it where it interrupts nothing else, as an `uncaughtException` of the process, as with listeners of an EventTarget. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
