// The socket filter for a FlowFilter: it drops events before they take room in the queue (docs/kernel.md 6.6). It may let more through
// than the filter wants, never less, and every event is checked again.

import { BpfProgram } from './bpf.js';
import { type FlowCondition, type FlowFilter, MATCH_ALL } from './condition.js';
import { judgedAges } from './event-ages.js';
import { EventCode } from './event-code.js';
import { cheaper, type JudgementOptions, joined, judgedFilter, matchesAll } from './event-judgement.js';

/**
 * The cost of a program that every kernel accepts: net.core.optmem_max is 20,480 in older ones. Measured there: docs/kernel.md 6.6.
 */
export const PROGRAM_BUDGET = 2400;

/** A socket filter, and what it does. */
export interface SocketFilter {
  /** As struct sock_filter; `undefined` when it would let everything through. */
  readonly bytes: Uint8Array | undefined;
  readonly instructions: number;
  /**
   * What the program wants of an event: less exact than the filter where a program cannot be, or would be too long. The program decides
   * exactly so, but for ages, of which it is a little less sure, and lets through what is not laid out as expected.
   */
  readonly judged: FlowFilter;
}

/** The socket filter for events that `filter` may want. */
export function eventProgram(filter: FlowFilter, options: JudgementOptions = {}): SocketFilter {
  let judged = judgedFilter(filter, options);
  for (;;) {
    if (matchesAll(judged)) return { bytes: undefined, instructions: 0, judged };
    const program = write(judged);
    if (program.leastCost <= PROGRAM_BUDGET && program.cost <= PROGRAM_BUDGET) {
      const bytes = program.encode();
      return { bytes, instructions: bytes.length >> 3, judged: replaced(judged, asJudged) };
    }
    judged = shorter(judged);
  }
}

function write(judged: FlowFilter): BpfProgram {
  const program = new BpfProgram();
  if (judged.kind === 'any' && judged.of.length === 0) {
    program.drop();
    return program;
  }
  const [accept, drop] = [program.newLabel(), program.newLabel()];
  const code = new EventCode(program, accept);
  code.beginning();
  code.filter(judged, accept, drop);
  program.place(accept);
  program.accept();
  program.place(drop);
  program.drop();
  return program;
}

/** A condition, or its negation. */
type Leaf = FlowCondition | { readonly kind: 'not'; readonly of: FlowFilter };

/** Without the dearest conditions, until the rest may be short enough. At least one goes. */
function shorter(filter: FlowFilter): FlowFilter {
  const costs = new Map<Leaf, number>();
  for (const leaf of leavesOf(filter)) costs.set(leaf, write(leaf).leastCost);
  let rest = filter;
  for (;;) {
    let sum = 0;
    let dearest: Leaf | undefined;
    for (const leaf of leavesOf(rest)) {
      const cost = costs.get(leaf) ?? write(leaf).leastCost;
      costs.set(leaf, cost);
      sum += cost;
      if (dearest === undefined || cost > costs.get(dearest)!) dearest = leaf;
    }
    if (dearest === undefined || (rest !== filter && sum <= PROGRAM_BUDGET)) return rest;
    const gone = dearest;
    rest = replaced(rest, (leaf) => (leaf === gone ? (leaf.kind === 'not' ? MATCH_ALL : cheaper(leaf)) : leaf));
  }
}

function leavesOf(filter: FlowFilter): readonly Leaf[] {
  return filter.kind === 'all' || filter.kind === 'any' ? filter.of.flatMap(leavesOf) : [filter];
}

/** The filter with something else in place of its leaves. */
function replaced(filter: FlowFilter, by: (leaf: Leaf) => FlowFilter): FlowFilter {
  if (filter.kind !== 'all' && filter.kind !== 'any') return by(filter);
  return joined(
    filter.kind,
    filter.of.map((part) => replaced(part, by)),
  );
}

function asJudged(leaf: Leaf): FlowFilter {
  return leaf.kind === 'age' ? { kind: 'age', ranges: judgedAges(leaf.ranges) } : leaf;
}
