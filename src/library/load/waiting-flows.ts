// Flows whose master was not in the table when they were sent. It may come later: a saved table is in no order.

import { isMissing, type KernelError } from '../../errors.js';
import { BATCH_SIZE } from '../pending-flows.js';
import type { ConntrackTable, ScanOptions, ScanVisitor } from '../table.js';
import type { EncodedFlows, EncodedPlace } from './encoded-flows.js';

/** What becomes of flows that waited, by their tags. */
export interface WaitingOutcome {
  /** What the kernel said; nothing of a flow that still lacks its master. */
  failed(tag: number, error: KernelError | undefined): void;
  /** It is there and lacks its labels. */
  unlabelled(tag: number): void;
}

export class WaitingFlows {
  #waiting: EncodedPlace[] = [];

  get count(): number {
    return this.#waiting.length;
  }

  /** Keeps flow `index` of a batch, if `error` says that it lacks its master; the batch's memory must stay. @returns whether it did */
  keep(flows: EncodedFlows, index: number, error: KernelError): boolean {
    if (!isMissing(error) || !flows.hasMaster(index)) return false;
    this.#waiting.push({ flows, index });
    return true;
  }

  /** Creates them, in rounds, until all are there or no more of them can be. @returns how many were created */
  async create(
    table: ConntrackTable,
    outcome: WaitingOutcome,
    { background, pause }: Pick<ScanOptions, 'background'> & Pick<ScanVisitor, 'pause'> = {},
  ): Promise<number> {
    let created = 0;
    for (let before = Number.POSITIVE_INFINITY; this.#waiting.length > 0 && this.#waiting.length < before; ) {
      before = this.#waiting.length;
      const round = this.#waiting.splice(0);
      for (let from = 0; from < round.length; from += BATCH_SIZE) {
        const places = round.slice(from, from + BATCH_SIZE);
        const tag = (position: number) => places[position]!.flows.tag(places[position]!.index);
        let refused = 0;
        await table.createPlaced(
          places,
          (position, error) => {
            refused++;
            if (isMissing(error)) this.#waiting.push(places[position]!);
            else outcome.failed(tag(position), error);
          },
          (position) => outcome.unlabelled(tag(position)),
          { background: background ?? false },
        );
        created += places.length - refused;
        await pause?.();
      }
    }
    for (const { flows, index } of this.#waiting.splice(0)) outcome.failed(flows.tag(index), undefined);
    return created;
  }
}
