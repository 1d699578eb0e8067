// What ends a word that would go on for ever.

/** Is aborted by a signal that asks this process to end. */
export function abortBySignal(host: Pick<NodeJS.Process, 'on'>): AbortController {
  const abort = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) host.on(signal, () => abort.abort());
  return abort;
}

/** Settles with such a signal. */
export function endingSignal(host: Pick<NodeJS.Process, 'on'>): Promise<void> {
  const { signal } = abortBySignal(host);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}
