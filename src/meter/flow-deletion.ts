// FlowDeletion: deleting what a meter shows: what would go, what one should know before, doing it, and what came back.

import type { Conntrack, Filter, FilterInput } from '../library/index.js';
import { formatFilter, matches } from '../library/index.js';
import type { FlowMeter } from './flow-meter.js';
import type { MeteredFlow } from './metered-flow.js';
import { joinFilters } from './scope.js';

/** Flows one by one, or all that a filter selects, in one network namespace of the meter or in all. */
export type DeletionTarget =
  | { readonly flows: readonly MeteredFlow[] }
  | { readonly filter: FilterInput; readonly netns?: string | undefined };

/** The same without the flows that are kept. `filter` is canonical text, and `wanted` says the same: a text may be too long to be read. */
export type PlannedTarget =
  | { readonly flows: readonly MeteredFlow[] }
  | { readonly filter: string; readonly wanted: Filter; readonly netns: string | undefined };

/** What a deletion would do. */
export interface DeletionPlan {
  readonly target: PlannedTarget;
  /** How many flows would go. */
  readonly count: number;
  /** The fastest of them, at most three. */
  readonly largest: readonly MeteredFlow[];
  readonly warnings: readonly string[];
}

/** What a deletion did. */
export interface DeletionResult {
  readonly deleted: number;
  readonly alreadyGone: number;
  readonly failed: number;
  /** Flows that are met from now on have at least this number. */
  readonly nextFlow: number;
}

/** The largest target that is told in full, and whose return is looked for. */
const MOST_RETURNING = 1000;

/** Deletes flows of a meter, in steps: look, delete, look what came back. */
export class FlowDeletion {
  readonly #meter: FlowMeter;
  readonly #conntracks: ReadonlyMap<string, Conntrack>;
  readonly #scope: string | undefined;
  /** Flows that are never deleted: one's own way in. */
  readonly #kept: string | undefined;

  constructor(meter: FlowMeter, conntracks: ReadonlyMap<string, Conntrack>, scope: string | undefined, kept: string | undefined) {
    this.#meter = meter;
    this.#conntracks = conntracks;
    this.#scope = scope;
    this.#kept = kept;
  }

  /** Looks without changing anything. */
  async plan(target: DeletionTarget): Promise<DeletionPlan> {
    const loose = 'the connection itself goes on: its next packet may begin the flow again, unless a rule refuses it';
    if ('flows' in target) {
      const flows = target.flows.filter((flow) => this.#isDeletable(flow));
      const warnings = flows.length < target.flows.length ? ['the flow of your own connection is kept'] : [];
      return { target: { flows }, count: flows.length, largest: flows.slice(0, 3), warnings: [...warnings, loose] };
    }
    const wanted = joinFilters([this.#scope, target.filter, this.#kept]) ?? {};
    const { netns } = target;
    const { matched, flows } = await this.#meter.flows({ filter: wanted, netns, limit: 3 });
    const warnings = this.#kept === undefined ? [] : ['the flow of your own connection is kept'];
    const planned = { filter: formatFilter(wanted), wanted, netns };
    return { target: planned, count: matched, largest: flows, warnings: [...warnings, loose] };
  }

  /** How many flows would go now: the kernel counts those of a filter, as the meter may be late. @throws KernelError */
  async count({ target }: DeletionPlan): Promise<number> {
    if ('flows' in target) return target.flows.length;
    let count = 0;
    for (const [name, conntrack] of this.#conntracks)
      if (isIn(target, name)) count += (await conntrack.count(target.wanted)).entries;
    return count;
  }

  /** Deletes. @throws KernelError */
  async run({ target }: DeletionPlan): Promise<DeletionResult> {
    const { nextFlow } = this.#meter.sample;
    const sum = { deleted: 0, alreadyGone: 0, failed: 0 };
    for (const [name, conntrack] of this.#conntracks) {
      const flows = 'flows' in target ? target.flows.filter((flow) => isIn(flow, name)) : [];
      if ('flows' in target ? flows.length === 0 : !isIn(target, name)) continue;
      const result =
        'flows' in target ? await conntrack.deleteMany(flows.map(({ flow }) => flow)) : await conntrack.delete(target.wanted);
      sum.deleted += result.deleted;
      sum.alreadyGone += result.alreadyGone;
      sum.failed += result.failed;
    }
    return { ...sum, nextFlow };
  }

  /** How many of them are there again: flows of the same filter, or with the same addresses and ports, that began since. */
  async cameBack({ target }: DeletionPlan, { nextFlow }: DeletionResult): Promise<number> {
    if ('filter' in target) {
      const query = { filter: target.wanted, netns: target.netns, sort: 'age', reverse: true, limit: MOST_RETURNING } as const;
      return (await this.#meter.flows(query)).flows.filter(({ number }) => number >= nextFlow).length;
    }
    let back = 0;
    for (const { flow, netns } of target.flows.slice(0, MOST_RETURNING)) {
      const conntrack = netns === undefined ? [...this.#conntracks.values()][0] : this.#conntracks.get(netns);
      const { id: _, ...key } = flow;
      if (await conntrack?.get(key)) back++;
    }
    return back;
  }

  #isDeletable({ flow }: MeteredFlow): boolean {
    return this.#kept === undefined || matches(this.#kept, flow);
  }
}

/** Whether a target reaches into a namespace. */
function isIn({ netns }: { readonly netns?: string | undefined }, name: string): boolean {
  return netns === undefined || netns === name;
}
