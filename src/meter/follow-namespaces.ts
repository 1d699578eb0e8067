// followNamespaces: namespaces that come and go while a meter runs.

import { ConntrackError } from '../errors.js';
import type { Conntrack } from '../library/index.js';
import type { FlowMeter } from './flow-meter.js';

/** What has changed since the last look. */
export interface NamespaceNews {
  readonly came: readonly (readonly [name: string, conntrack: Conntrack])[];
  /** `close` must be called when the meter has left it: until then it is kept. */
  readonly gone: readonly { readonly name: string; close(): Promise<void> }[];
  /** Those that cannot be read, each once. */
  readonly failures: readonly { readonly name: string; readonly error: ConntrackError }[];
}

/** Looks which network namespaces there are. @throws ConntrackError */
export type LookAgain = () => Promise<NamespaceNews>;

/** Looks once: a meter leaves what has gone, and begins with what has come. @returns what failed, by name */
export async function followNamespaces(
  meter: Pick<FlowMeter, 'add' | 'remove'>,
  lookAgain: LookAgain,
): Promise<readonly { readonly name: string; readonly error: ConntrackError }[]> {
  const { came, gone, failures } = await lookAgain();
  for (const { name, close } of gone) {
    meter.remove(name);
    await close();
  }
  const failed = [...failures];
  for (const [name, conntrack] of came)
    try {
      await meter.add(name, conntrack);
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      failed.push({ name, error });
    }
  return failed;
}
