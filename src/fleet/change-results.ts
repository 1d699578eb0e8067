// What became of changes at this host, for ten minutes: whoever has lost an answer asks again, and nothing is done twice.

import type { ChangeOutcome } from './audit.js';
import type { ChangeRequest } from './change-request.js';
import { FleetError } from './fleet-error.js';

/** Milliseconds that a result is remembered. */
export const REMEMBERED = 600_000;
const MOST_RESULTS = 20_000;

/** An error, as it is told. */
export interface ToldError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** What is known of an `apply`. */
export interface KnownResult {
  readonly by: string;
  /** `never`: its result was asked for before it came; it is not begun any more. */
  state: 'running' | 'done' | 'never';
  outcome?: ChangeOutcome | undefined;
  error?: ToldError | undefined;
  /** The end of it could not be written down. */
  unaudited?: boolean;
}

export class ChangeResults {
  readonly #results = new Map<string, { readonly result: KnownResult; until: number }>();
  readonly #uptime: () => number;

  /** `uptime`: milliseconds that only grow. */
  constructor(uptime: () => number) {
    this.#uptime = uptime;
  }

  /** What is known of the change with the id of this request. @throws FleetError `UNAUTHORISED` if it is another user's */
  find({ id, by }: ChangeRequest): KnownResult | undefined {
    const known = this.#results.get(id);
    if (!known || this.#isOver(known)) return undefined;
    if (known.result.by !== by) throw new FleetError('UNAUTHORISED', `that is a change of ${known.result.by}`);
    return known.result;
  }

  /** Remembers a change from now on. @throws FleetError `OVERLOADED`: what was told must stay true, so that nothing is forgotten early */
  add({ id, by }: ChangeRequest, state: 'running' | 'never'): KnownResult {
    // Those that are over come first: they are in the order of their ends, but for changes that took longer than others.
    for (const [other, known] of this.#results) {
      if (!this.#isOver(known)) break;
      this.#results.delete(other);
    }
    if (this.#results.size >= MOST_RESULTS)
      throw new FleetError('OVERLOADED', `${MOST_RESULTS} changes in ten minutes`, { hint: 'ask again in some minutes' });
    const result: KnownResult = { by, state };
    this.#results.set(id, { result, until: this.#uptime() + REMEMBERED });
    return result;
  }

  /** It has ended: from now on it is remembered for as long as any other. */
  done({ id }: ChangeRequest): void {
    const known = this.#results.get(id)!;
    known.result.state = 'done';
    known.until = this.#uptime() + REMEMBERED;
    this.#results.delete(id);
    this.#results.set(id, known);
  }

  /** A change that runs is not over, however long that takes. */
  #isOver({ result, until }: { readonly result: KnownResult; readonly until: number }): boolean {
    return result.state !== 'running' && until < this.#uptime();
  }
}
