// Flows whose master was not in the table when they were sent. It may come later: a saved table is in no order.

import { isMissing, KernelError } from '../errors.js';
import type { EncodedFlows, SingleRequest } from './encoded-flows.js';
import type { ConntrackTable } from './table.js';

export class WaitingFlows {
  #waiting: { readonly tag: number; readonly request: SingleRequest }[] = [];

  get count(): number {
    return this.#waiting.length;
  }

  /** Keeps flow `index` of a batch, if `error` says that it lacks its master; the batch's memory must stay. @returns whether it did */
  keep(batch: EncodedFlows, index: number, error: KernelError): boolean {
    if (!isMissing(error) || !batch.hasMaster(index)) return false;
    this.#waiting.push({ tag: batch.tag(index), request: batch.single(index) });
    return true;
  }

  /**
   * Creates them, in rounds, until all are there or no more of them can be. `failed` gets the tags of the others, and what the
   * kernel said: nothing of those that still lack their master.
   * @returns how many were created
   */
  create(table: ConntrackTable, failed: (tag: number, error: KernelError | undefined) => void): number {
    let created = 0;
    for (let before = Number.POSITIVE_INFINITY; this.#waiting.length > 0 && this.#waiting.length < before; ) {
      before = this.#waiting.length;
      this.#waiting = this.#waiting.filter(({ tag, request }) => {
        try {
          table.createSingle(request);
          created++;
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          if (isMissing(error)) return true;
          failed(tag, error);
        }
        return false;
      });
    }
    for (const { tag } of this.#waiting.splice(0)) failed(tag, undefined);
    return created;
  }
}
