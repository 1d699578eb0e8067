// FlowLoader: creates flows a batch at a time and counts results. Flows whose master is missing wait until the others are in the table.

import type { ConntrackTable } from '../table.js';
import type { EncodedFlows } from './encoded-flows.js';
import { type LoadOutcome, type LoadWay, WaitingFlows } from './waiting-flows.js';

export class FlowLoader {
  readonly #table: () => ConntrackTable;
  readonly #outcome: LoadOutcome;
  readonly #way: LoadWay;
  readonly #waiting = new WaitingFlows();
  #created = 0;
  #partly = 0;

  /** `table` is opened only when there is something to send. */
  constructor(table: () => ConntrackTable, outcome: LoadOutcome, way: LoadWay = {}) {
    this.#table = table;
    this.#outcome = outcome;
    this.#way = way;
  }

  /** Flows created or updated so far. */
  get created(): number {
    return this.#created;
  }

  /** Of those, flows that existed and kept values that only new flows can take. */
  get partly(): number {
    return this.#partly;
  }

  /** Sends a batch; if some are refused, the others are created. */
  async send(flows: EncodedFlows): Promise<void> {
    let refused = 0;
    this.#partly += await this.#table().createEncoded(
      flows,
      (index, error) => {
        refused++;
        if (!this.#waiting.keep(flows, index, error)) this.#outcome.failed(flows.tag(index), error, flows.mayExist(index));
      },
      (index) => this.#outcome.unlabelled(flows.tag(index)),
      this.#way,
    );
    this.#created += flows.count - refused;
    // Waiting flows are encoded in memory that the next batch would use.
    if (this.#waiting.count > 0) flows.seal();
  }

  /** Creates the flows that wait for their master. */
  async finish(): Promise<void> {
    if (this.#waiting.count > 0) this.#created += await this.#waiting.create(this.#table(), this.#outcome, this.#way);
  }
}
