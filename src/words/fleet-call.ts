// What a verb of `conntrack fleet` has to work with.

import type { Asked, AskOptions, Fleet } from '../fleet/fleet.js';
import type { Signer } from '../fleet/nkey.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';

/** What a verb has to work with. */
export interface FleetCall {
  readonly fleet: Fleet;
  readonly line: WordLine;
  /** What follows the verb. */
  readonly operands: readonly string[];
  readonly context: WordContext;
  /** Whom to ask, with this deadline (milliseconds) unless another one was given. */
  ask(deadline: number): AskOptions;
  /** Signs changes. @throws UsageError without a key */
  signer(): Signer;
  /** Says which hosts are missing. @returns the exit status: `otherwise` if none is */
  conclude(asked: Asked, otherwise?: number): number;
}

export type FleetVerb = (call: FleetCall) => Promise<number>;
