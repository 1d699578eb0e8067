// FleetList: the flows of many hosts, as they come, at the pace of their reader.

import { type Flow, FlowReader, fieldSet } from '../ctnetlink/flow.js';
import { createFlowView } from '../ctnetlink/view.js';
import type { Asked, Fleet } from './fleet.js';
import { askOptions, bodyOf, checkComplete, type FleetAskOptions } from './fleet-asking.js';
import type { FleetResult, FleetVisitor } from './fleet-question.js';
import { handedOver } from './hand-over.js';
import { Nl1Reader } from './nl1.js';

/** How flows of a fleet are listed. */
export interface FleetListOptions {
  /** At most so many flows. Default: all. */
  readonly limit?: number | undefined;
  /** As they come, or one host after the other, by name. Default `arrival`. */
  readonly order?: 'arrival' | 'host' | undefined;
}

/** A flow of a fleet. */
export interface FleetFlow {
  readonly host: string;
  /** The network namespace, if the agent looks into several. */
  readonly netns?: string | undefined;
  readonly flow: Flow;
}

const LIST_DEADLINE = 30_000;

/** The flows of a fleet. Each iteration asks the hosts anew. */
export class FleetList {
  readonly #fleet: Fleet;
  readonly #filter: string | undefined;
  readonly #options: FleetListOptions & FleetAskOptions;
  #result: FleetResult | undefined;

  /** For `FleetClient.list`. */
  constructor(fleet: Fleet, filter: string | undefined, options: FleetListOptions & FleetAskOptions) {
    this.#fleet = fleet;
    this.#filter = filter;
    this.#options = options;
  }

  /** How it ended: who answered, and who did not. `undefined` until the last flow was read. */
  get result(): FleetResult | undefined {
    return this.#result;
  }

  /** All of them in one array. @throws FleetError */
  async toArray(): Promise<FleetFlow[]> {
    const all: FleetFlow[] = [];
    for await (const one of this) all.push(one);
    return all;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FleetFlow, void, undefined> {
    const { limit, order, signal } = this.#options;
    const decode = flowDecoder();
    let left = limit ?? Number.POSITIVE_INFINITY;
    const body = { ...bodyOf(this.#filter, this.#options), ...(limit === undefined ? {} : { limit }) };
    const asked = yield* handedOver<FleetFlow, Asked>(signal, (give, ending) => {
      const visitor: FleetVisitor = {
        rows: async (host, netns, packed) => {
          const rows = decode(host, netns, packed);
          const wanted = rows.slice(0, left);
          left -= wanted.length;
          await give(wanted);
          return { rows: rows.length, enough: left <= 0 };
        },
      };
      return this.#fleet.ask('list', body, visitor, { ...askOptions(this.#options, LIST_DEADLINE), order, signal: ending });
    });
    this.#result = asked;
    signal?.throwIfAborted();
    checkComplete(asked, this.#options);
  }
}

/** Reads a body into flows that stay. */
function flowDecoder() {
  const view = createFlowView();
  const reader = new Nl1Reader();
  const flows = new FlowReader();
  const fields = fieldSet(undefined);
  return (host: string, netns: string | undefined, body: Uint8Array): FleetFlow[] => {
    const rows: FleetFlow[] = [];
    reader.read(body, (bytes, start, end) => {
      view.decode(bytes, start, end);
      rows.push({ host, ...(netns === undefined ? {} : { netns }), flow: flows.read(view, fields) as Flow });
    });
    return rows;
  };
}
