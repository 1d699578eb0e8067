// Which dumps make up a list. For every dump the kernel walks its whole hash table, past the entries of all network namespaces, and makes
// a message of each entry that passes its filter; that keeps one processor busy. Two dumps, one per family, share the messages and let
// the kernel filter by tuple, but walk twice. A wrong choice costs time, never an entry.

import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { type Atoms, atomsOf, filtersByTuple, isSent, requiredFamily } from '../ctnetlink/filter/kernel-plan.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import type { View } from '../ctnetlink/view.js';

/** One of the dumps of a list. Each wanted entry is in exactly one of them. */
export interface PlannedDump {
  readonly family: number;
}

/** All dumps of a list. */
export interface DumpPlan {
  /** The one that should take longest is first. */
  readonly dumps: readonly PlannedDump[];
  /**
   * One after another, received on a thread (`in turn`) or by the caller; or at the same time, on a thread each, or on one thread and
   * by the caller.
   */
  readonly order: 'in turn' | 'on the caller' | 'threads' | 'shared thread';
}

/** What the list is for. */
export interface DumpPurpose {
  readonly filter: FlowFilter;
  /** Reset the counters of all entries that are dumped: the kernel filters by family alone. */
  readonly zero: boolean;
  /** The caller's thread receives nothing. */
  readonly background: boolean;
}

/** Sources of the facts that decide, the cheapest first. */
export interface TableFacts {
  /** Entries of this namespace. */
  readonly entries: () => number;
  /** How many threads can run at the same time. */
  readonly processors: () => Promise<number>;
  readonly sample: () => Promise<TableSample>;
}

/** Some entries of the table. The kernel lists them in the order of a hash, so the first ones are like the others. */
export interface TableSample {
  readonly entries: number;
  readonly ipv4: FamilySample;
  readonly ipv6: FamilySample;
}

/** How many entries of a family the kernel sends. */
export interface FamilySample {
  /** In a dump of both families, which it filters by mark, status and zone. */
  both: number;
  /** In a dump of this family, which it filters by tuple as well. */
  alone: number;
}

/** With fewer entries there is little to gain, and the kernel's order is kept. */
export const SEVERAL_DUMPS_FROM = 32768;

/** Making a message of an entry takes the kernel as long as walking past this many: 2 µs to 0.25. */
const MESSAGE = 8;

/** What a second walk at the same time adds to the first: both wait for the same memory, and other work may want the processor. */
const SECOND_WALK = 0.5;

/** Two dumps must take less than this fraction of the time of one. */
const WORTH_IT = 0.9;

/** Entries in a sample. A third of the table is a fifth to a half of it. More cost too much: code that is new needs 10 µs for each. */
const SAMPLED = 128;

/** With fewer messages to come, handing them over takes longer than a thread could save. */
const THREAD_FROM = 4000;

const ONE: DumpPlan = { dumps: [{ family: AF_UNSPEC }], order: 'in turn' };

/** Chooses the dumps of a list of the table. It requests only facts that matter. */
export async function planDumps({ filter, zero, background }: DumpPurpose, facts: TableFacts): Promise<DumpPlan> {
  const family = requiredFamily(filter);
  if (family !== AF_UNSPEC) return { dumps: [{ family }], order: 'in turn' };
  const total = facts.entries();
  if (total < SEVERAL_DUMPS_FROM) return ONE;
  const processors = await facts.processors();
  // One processor for each dump, and one for visiting. Of two, the one that visits can receive as well, if the caller permits.
  const together = processors > 2 || (processors === 2 && !background);
  const inTurn = processors > 1 || background ? 'in turn' : 'on the caller';
  if (!together && (zero || !filtersByTuple(filter))) return { ...ONE, order: inTurn };
  const { entries, ipv4, ipv6 } = await facts.sample();
  const messages = ipv4.both + ipv6.both;
  const one = entries + MESSAGE * messages;
  const two = together
    ? (1 + SECOND_WALK) * entries + MESSAGE * Math.max(ipv4.alone, ipv6.alone)
    : 2 * entries + MESSAGE * (ipv4.alone + ipv6.alone);
  if (two >= WORTH_IT * one) {
    const few = !background && messages * total < THREAD_FROM * entries;
    return { ...ONE, order: few ? 'on the caller' : inTurn };
  }
  const families = ipv6.alone > ipv4.alone ? [AF_INET6, AF_INET] : [AF_INET, AF_INET6];
  const order = !together ? inTurn : processors === 2 ? 'shared thread' : 'threads';
  return { dumps: families.map((family) => ({ family })), order };
}

/** Makes a sample of the entries it is given. */
export class Sampler implements TableSample {
  /** `undefined`: the kernel sends everything. */
  readonly #atoms: Atoms | undefined;
  entries = 0;
  readonly ipv4: FamilySample = { both: 0, alone: 0 };
  readonly ipv6: FamilySample = { both: 0, alone: 0 };

  constructor({ filter, zero }: DumpPurpose) {
    this.#atoms = zero ? undefined : atomsOf(filter);
  }

  /** Whether it has as many as it takes. */
  get full(): boolean {
    return this.entries === SAMPLED;
  }

  add(view: View): this {
    this.entries++;
    const sample = view.family === AF_INET6 ? this.ipv6 : this.ipv4;
    if (!this.#atoms || isSent(this.#atoms, view, AF_UNSPEC)) sample.both++;
    if (!this.#atoms || isSent(this.#atoms, view, view.family)) sample.alone++;
    return this;
  }
}
