// onAbort: lets any number of calls share a signal with only one listener. Node.js warns of a leak if a signal has more than ten.

import type { Signal } from './signal.js';

interface Heeding {
  readonly callbacks: Set<(reason: unknown) => void>;
  readonly listener: () => void;
}

const heeded = new WeakMap<Signal, Heeding>();

/** Calls `callback` with the reason when the signal is aborted; it must not be aborted yet. @returns a function that undoes this */
export function onAbort(signal: Signal | undefined, callback: (reason: unknown) => void): () => void {
  if (!signal) return () => {};
  const { callbacks } = heeded.get(signal) ?? begin(signal);
  callbacks.add(callback);
  return () => {
    if (callbacks.delete(callback) && callbacks.size === 0) end(signal);
  };
}

function begin(signal: Signal): Heeding {
  const callbacks: Heeding['callbacks'] = new Set();
  const listener = () => {
    end(signal);
    for (const callback of callbacks) callback(signal.reason);
  };
  const heeding = { callbacks, listener };
  heeded.set(signal, heeding);
  signal.addEventListener('abort', listener);
  return heeding;
}

/** Idempotent. */
function end(signal: Signal): void {
  const heeding = heeded.get(signal);
  if (!heeding) return;
  heeded.delete(signal);
  signal.removeEventListener('abort', heeding.listener);
}
