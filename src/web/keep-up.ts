// keepUp: network namespaces that come and go while a server runs.

import { setTimeout as delay } from 'node:timers/promises';
import { ConntrackError } from '../errors.js';
import { type FlowMeter, followNamespaces, type LookAgain } from '../meter/index.js';

export interface KeepUpOptions {
  /** Milliseconds between looks. */
  readonly every: number;
  /** A namespace cannot be read, or, without a name, none can be looked for. */
  readonly failed: (name: string | undefined, error: ConntrackError) => void;
  readonly signal: AbortSignal;
}

/** Looks again and again until the signal is aborted, or the meter has ended. */
export async function keepUp(
  meter: Pick<FlowMeter, 'add' | 'remove' | 'failure'>,
  lookAgain: LookAgain,
  { every, failed, signal }: KeepUpOptions,
): Promise<void> {
  for (;;) {
    await delay(every, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted || meter.failure !== undefined) return;
    try {
      for (const { name, error } of await followNamespaces(meter, lookAgain)) failed(name, error);
    } catch (error) {
      if (signal.aborted || meter.failure !== undefined) return;
      if (!(error instanceof ConntrackError)) throw error;
      failed(undefined, error);
    }
  }
}
