// takeEach: goes through items of the program one by one. A source that does not deliver keeps nobody: it can be interrupted.

/** Calls back when going on makes no sense any more. @returns what ends that */
export type WhenOver = (end: (reason: unknown) => void) => () => void;

/**
 * Gives each item to `take`, whose promise, if there is one, is waited for. As `for await`, but that `whenOver` ends the waiting for an
 * async source, for its next item and for its `return`.
 * @throws what the source throws, what `take` throws, the reason of `whenOver`
 */
export async function takeEach<T>(
  items: Iterable<T> | AsyncIterable<T>,
  take: (item: T) => Promise<void> | undefined,
  whenOver: WhenOver,
): Promise<void> {
  if (Symbol.asyncIterator in items) return takeEachAsync(items, take, whenOver);
  for (const item of items) {
    const taking = take(item);
    if (taking) await taking;
  }
}

async function takeEachAsync<T>(items: AsyncIterable<T>, take: (item: T) => Promise<void> | undefined, whenOver: WhenOver) {
  let over: { readonly reason: unknown } | undefined;
  let interrupt: (reason: unknown) => void = () => {};
  const heedNoMore = whenOver((reason) => {
    over = { reason };
    interrupt(reason);
  });
  /** Promise.race() with a promise that stays would keep every other one, too. */
  const wait = <V>(promise: V | PromiseLike<V>) =>
    new Promise<V>((resolve, reject) => {
      interrupt = reject;
      if (over) reject(over.reason);
      Promise.resolve(promise).then(resolve, reject); // in any case: a rejection that nobody hears of ends the process
    });
  try {
    const iterator = items[Symbol.asyncIterator]();
    for (;;) {
      const next = iterator.next();
      const { done, value } = await wait(next).catch((error) => {
        // A source that has failed has ended; one that was interrupted is told, whenever it hears of it.
        if (over) void leave(iterator);
        throw error;
      });
      if (done) return;
      try {
        const taking = take(value);
        if (taking) await taking;
      } catch (error) {
        await wait(leave(iterator)).catch(() => {});
        throw error;
      }
    }
  } finally {
    heedNoMore();
  }
}

/** Tells a source that no more is wanted. What it says to that is of no interest: something has failed before. */
async function leave(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The first error is the one that is told.
  }
}
