// throwLater: what becomes of an error in a function of the program that is called in the middle of something.

/**
 * Throws it where nothing else is interrupted: it is an `uncaughtException` of the process, as with listeners of an EventTarget.
 */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
