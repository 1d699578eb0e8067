// Flows whose master was not in the table when they were sent. It may come later: a saved table is in no order.

import { isMissing, KernelError } from '../errors.js';
import type { EncodedFlows } from './encoded-flows.js';
import type { ConntrackTable } from './table.js';

export class WaitingFlows {
  #waiting: { readonly batch: EncodedFlows; readonly index: number }[] = [];

  get count(): number {
    return this.#waiting.length;
  }

  /** Keeps flow `index` of a batch, if `error` says that it lacks its master; the batch's memory must stay. @returns whether it did */
  keep(batch: EncodedFlows, index: number, error: KernelError): boolean {
    if (!isMissing(error) || !batch.hasMaster(index)) return false;
    this.#waiting.push({ batch, index });
    return true;
  }

  /**
   * Creates them, in rounds, until all are there or no more of them can be. `unlabelled` gets the tags of those that lack their labels,
   * `failed` those of the others, and what the kernel said: nothing of those that still lack their master.
   * @returns how many were created
   */
  create(
    table: ConntrackTable,
    failed: (tag: number, error: KernelError | undefined) => void,
    unlabelled: (tag: number) => void,
  ): number {
    let created = 0;
    for (let before = Number.POSITIVE_INFINITY; this.#waiting.length > 0 && this.#waiting.length < before; ) {
      before = this.#waiting.length;
      this.#waiting = this.#waiting.filter(({ batch, index }) => {
        try {
          if (!table.createSingle(batch, index)) unlabelled(batch.tag(index));
          created++;
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          if (isMissing(error)) return true;
          failed(batch.tag(index), error);
        }
        return false;
      });
    }
    for (const { batch, index } of this.#waiting.splice(0)) failed(batch.tag(index), undefined);
    return created;
  }
}
