// takeEach: goes through items of the program one by one. A source that never delivers holds up nobody, because the wait can be
// interrupted.

/** Calls back when there is no point in going on. @returns a function that undoes this */
export type WhenOver = (end: (reason: unknown) => void) => () => void;

/**
 * Passes each item to `take` and waits for its promise, if any. Like `for await`, except that `whenOver` ends the wait for an async
 * source's next item and for its `return`.
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
        // A source that has failed has ended; one that was interrupted is told to end, whenever it gets to know.
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

/** Tells a source that no more is wanted. Its answer does not matter, because something has failed before. */
async function leave(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Only the first error is reported.
  }
}
