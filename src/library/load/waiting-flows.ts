// Flows whose master was not in the table when they were sent. The master may come later: a saved table has no order.

import { isMissing, type KernelError } from '../../errors.js';
import type { ScanOptions, ScanVisitor } from '../flow-dumps.js';
import { BATCH_SIZE } from '../pending-flows.js';
import type { ConntrackTable } from '../table.js';
import type { EncodedFlows, EncodedPlace } from './encoded-flows.js';

/** The outcome of single flows of a load, by their tags. */
export interface LoadOutcome {
  /** The kernel refused it; without an error, its master is not in the table. `mayExist`: it was to be updated if it existed. */
  failed(tag: number, error: KernelError | undefined, mayExist: boolean): void;
  /** It is in the table but lacks its labels. */
  unlabelled(tag: number): void;
}

/** How flows are created. */
export type LoadWay = Pick<ScanOptions, 'background'> & Pick<ScanVisitor, 'pause'>;

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

  /** Creates them, in rounds, until all exist or no more can be created. @returns how many were created */
  async create(table: ConntrackTable, outcome: LoadOutcome, { background = false, pause }: LoadWay): Promise<number> {
    let created = 0;
    for (let before = Number.POSITIVE_INFINITY; this.#waiting.length > 0 && this.#waiting.length < before; ) {
      before = this.#waiting.length;
      const round = this.#waiting.splice(0);
      for (let from = 0; from < round.length; from += BATCH_SIZE) {
        const places = round.slice(from, from + BATCH_SIZE);
        let refused = 0;
        await table.createPlaced(
          places,
          (position, error) => {
            refused++;
            const place = places[position]!;
            if (isMissing(error)) this.#waiting.push(place);
            else outcome.failed(tag(place), error, mayExist(place));
          },
          (position) => outcome.unlabelled(tag(places[position]!)),
          { background },
        );
        created += places.length - refused;
        await pause?.();
      }
    }
    for (const place of this.#waiting.splice(0)) outcome.failed(tag(place), undefined, mayExist(place));
    return created;
  }
}

function tag({ flows, index }: EncodedPlace): number {
  return flows.tag(index);
}

function mayExist({ flows, index }: EncodedPlace): boolean {
  return flows.mayExist(index);
}
