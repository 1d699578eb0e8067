// FleetHistory: flows of the past of many hosts, in the order of their ends, at the pace of their reader.

import { type PastFlow, PastFlowReader } from '../history/past-flow.js';
import { RowMessages } from '../history/row-messages.js';
import type { Fleet } from './fleet.js';
import { askOptions, type FleetAskOptions } from './fleet-asking.js';
import { FleetError } from './fleet-error.js';
import type { FleetResult } from './fleet-question.js';
import { handedOver } from './hand-over.js';
import { PAST_DEADLINE, type PastAsk, type PastResult, readPastFlows } from './past-client.js';
import type { SentRow } from './past-rows.js';

/** A flow of the past of a fleet. */
export interface FleetPastFlow {
  readonly host: string;
  /** Whose record it is of: with `sequence` of the flow, it names the record everywhere. */
  readonly recorder: string;
  readonly past: PastFlow;
}

/** How a question about the past ended. */
export interface FleetPastResult extends FleetResult {
  /** Hosts of which flows may be missing, and why. */
  readonly lacking: ReadonlyMap<string, readonly string[]>;
}

/** Flows of the past. Each iteration asks anew. */
export class FleetHistory {
  readonly #fleet: Fleet;
  readonly #ask: PastAsk;
  readonly #options: FleetAskOptions;
  #result: FleetPastResult | undefined;

  /** For `FleetClient.history`. */
  constructor(fleet: Fleet, ask: PastAsk, options: FleetAskOptions) {
    this.#fleet = fleet;
    this.#ask = ask;
    this.#options = options;
  }

  /** How it ended, and what may be missing. `undefined` until the last flow was read. */
  get result(): FleetPastResult | undefined {
    return this.#result;
  }

  /** All of them in one array. @throws FleetError */
  async toArray(): Promise<FleetPastFlow[]> {
    const all: FleetPastFlow[] = [];
    for await (const one of this) all.push(one);
    return all;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FleetPastFlow, void, undefined> {
    const { signal } = this.#options;
    const messages = new RowMessages();
    const reader = new PastFlowReader();
    const result = yield* handedOver<FleetPastFlow, PastResult>(signal, (give, ending) => {
      let flows: FleetPastFlow[] = [];
      const flush = async () => {
        const taken = flows;
        flows = [];
        if (taken.length > 0) await give(taken);
      };
      const take = (row: SentRow) => {
        flows.push({ host: row.host, recorder: row.recorder, past: reader.read(row, messages.of(row.row)) });
        return true;
      };
      const options = { ...askOptions(this.#options, PAST_DEADLINE), signal: ending };
      return readPastFlows(this.#fleet, this.#ask, options, take, flush);
    });
    this.#result = toPastResult(result);
    signal?.throwIfAborted();
    checkPast(result, this.#options);
  }
}

export function toPastResult({ complete, answered, missing, ms, lacking }: PastResult): FleetPastResult {
  return { complete, answered, missing, ms, lacking };
}

/** @throws FleetError `INCOMPLETE` if something may be missing, and must not */
export function checkPast(
  { complete, missing, lacking }: Pick<PastResult, 'complete' | 'missing' | 'lacking'>,
  { strict = false }: Pick<FleetAskOptions, 'strict'>,
): void {
  if (!strict || complete) return;
  const names = [...new Set([...missing.map(({ host }) => host), ...lacking.keys()])];
  throw new FleetError(
    'INCOMPLETE',
    `flows of ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''} may be missing`,
  );
}
