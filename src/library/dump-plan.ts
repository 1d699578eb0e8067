// Which dumps make up a list. For every dump the kernel walks its whole hash table, past the entries of all network namespaces, and makes
// a message of each entry that passes its filter; that keeps one processor busy. Two dumps, one per family, share the messages and let
// the kernel filter by tuple, but walk twice. A dump for each of a few addresses walks more often, and the kernel sends little. A wrong
// choice costs time, never an entry.

import { type Atoms, filtersByTuple, isSent, type TupleFilter } from '../ctnetlink/filter/kernel-plan.js';
import type { KernelRequests } from '../ctnetlink/filter/kernel-requests.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import type { View } from '../ctnetlink/view.js';

/** One of the dumps of a list. */
export interface PlannedDump {
  readonly family: number;
  /** What the kernel is asked for. */
  readonly atoms: Atoms;
}

/** All dumps of a list. */
export interface DumpPlan {
  /** Of dumps of families, the one that should take longest is first. */
  readonly dumps: readonly PlannedDump[];
  /** Dumps of families share no entry. An entry of several alternatives comes in the dump of each, and belongs to the first. */
  readonly of: 'families' | 'alternatives';
  /**
   * One after another, received on a thread (`in turn`) or by the caller; or at the same time, on a thread each, or on one thread and
   * by the caller.
   */
  readonly order: 'in turn' | 'on the caller' | 'threads' | 'shared thread';
  /** How many run at the same time. */
  readonly lanes: number;
}

/** What the list is for. */
export interface DumpPurpose {
  readonly requests: KernelRequests;
  /** Which parts of tuples the kernel filters. */
  readonly trusted: TupleFilter;
  /** Reset the counters of all entries that are dumped: the kernel filters by family alone. */
  readonly zero: boolean;
  /** The caller's thread receives nothing. */
  readonly background: boolean;
  /** With fewer entries, one dump. Default: SEVERAL_DUMPS_FROM. For tests. */
  readonly severalFrom?: number | undefined;
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
  /** How many entries the kernel sends in the dump of each alternative. */
  readonly alternatives: readonly number[];
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

/** Chooses the dumps of a list of the table. It requests only facts that matter. */
export async function planDumps(purpose: DumpPurpose, facts: TableFacts): Promise<DumpPlan> {
  const { requests, zero, background, severalFrom = SEVERAL_DUMPS_FROM } = purpose;
  const { common, alternatives } = requests;
  const { family } = common;
  const one = (order: DumpPlan['order']): DumpPlan => ({
    dumps: [{ family, atoms: common }],
    of: 'families',
    order,
    lanes: 1,
  });
  const mayAlternate = alternatives.length > 1 && !zero;
  if (family !== AF_UNSPEC && !mayAlternate) return one('in turn');
  const total = facts.entries();
  if (total < severalFrom) return one('in turn');
  const processors = await facts.processors();
  // One processor for each dump, and one for visiting. Of two, the one that visits can receive as well, if the caller permits.
  const together = processors > 2 || (processors === 2 && !background);
  const inTurn = processors > 1 || background ? 'in turn' : 'on the caller';
  if (!together && (zero || !filtersByTuple(common)) && !mayAlternate) return one(inTurn);
  const sample = await facts.sample();
  const { entries, ipv4, ipv6 } = sample;
  const isFew = (sent: number) => sent * total < THREAD_FROM * entries;
  const atOnce = !together ? inTurn : processors === 2 ? 'shared thread' : 'threads';

  const messages = ipv4.both + ipv6.both;
  const choices = [
    { time: WORTH_IT * timeOf([messages], entries, 1), plan: one(isFew(messages) && !background ? 'on the caller' : inTurn) },
  ];
  if (family === AF_UNSPEC) {
    const lanes = together ? 2 : 1;
    const families = ipv6.alone > ipv4.alone ? [AF_INET6, AF_INET] : [AF_INET, AF_INET6];
    const dumps = families.map((family) => ({ family, atoms: common }));
    choices.push({
      time: timeOf([ipv4.alone, ipv6.alone], entries, lanes),
      plan: { dumps, of: 'families', order: atOnce, lanes },
    });
  }
  if (mayAlternate) {
    const sent = sample.alternatives;
    // Visiting few entries needs no processor. The threads are those of the whole program: in the background some are left to it.
    const few = processors > 1 && isFew(sum(sent));
    const lanes = few || together ? Math.min(alternatives.length, processors, background ? 2 : alternatives.length) : 1;
    const dumps = alternatives.map((atoms) => ({ family: atoms.family, atoms }));
    choices.push({
      time: timeOf(sent, entries, lanes),
      plan: { dumps, of: 'alternatives', order: few ? 'threads' : atOnce, lanes },
    });
  }
  return choices.reduce((best, next) => (next.time < best.time ? next : best)).plan;
}

/** The time that dumps take that send so many of the entries of a sample, where 1 is to walk past one entry. */
function timeOf(sent: readonly number[], entries: number, lanes: number): number {
  const walks = (sent.length / lanes) * (lanes > 1 ? 1 + SECOND_WALK : 1);
  return walks * entries + MESSAGE * Math.max(...sent, sum(sent) / lanes);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0);
}

/** Makes a sample of the entries it is given. */
export class Sampler implements TableSample {
  readonly #purpose: DumpPurpose;
  entries = 0;
  readonly ipv4: FamilySample = { both: 0, alone: 0 };
  readonly ipv6: FamilySample = { both: 0, alone: 0 };
  readonly alternatives: number[];

  constructor(purpose: DumpPurpose) {
    this.#purpose = purpose;
    this.alternatives = purpose.requests.alternatives.map(() => 0);
  }

  /** Whether it has as many as it takes. */
  get full(): boolean {
    return this.entries === SAMPLED;
  }

  add(view: View): this {
    this.entries++;
    const { requests, trusted, zero } = this.#purpose;
    const { common, alternatives } = requests;
    const sample = view.family === AF_INET6 ? this.ipv6 : this.ipv4;
    if (zero || isSent(common, view, common.family, trusted)) sample.both++;
    if (zero || isSent(common, view, view.family, trusted)) sample.alone++;
    for (const [n, atoms] of alternatives.entries()) if (isSent(atoms, view, atoms.family, trusted)) this.alternatives[n]!++;
    return this;
  }
}
