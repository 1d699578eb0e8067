// Dumps of flows: a plan (dump-plan.ts) run on sockets of a table, with what the kernel may filter in each request.

import { compileFilter, type FlowPredicate } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { putAtoms, type TupleFilter } from '../ctnetlink/filter/kernel-plan.js';
import { familyRequests, isOf, type KernelRequests, kernelRequests } from '../ctnetlink/filter/kernel-requests.js';
import { AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { KernelError } from '../errors.js';
import { type DumpRequest, SharedThread } from '../wire/dump.js';
import { EINVAL, EOPNOTSUPP } from '../wire/errno.js';
import type { MessageWriter } from '../wire/message.js';
import { asksKernel } from '../wire/socket.js';
import type { OpenTransport } from '../wire/transport.js';
import { BoundaryDuplicates } from './boundary-duplicates.js';
import { type DumpPlan, type DumpPurpose, type PlannedDump, Sampler, type TableSample } from './dump-plan.js';
import { CT_GET, CT_GET_CTRZERO, CT_GET_DYING, CT_GET_UNCONFIRMED, type RequestRow } from './requests.js';
import type { SocketPool } from './socket-pool.js';

/** Lists of entries the kernel keeps: the table itself, entries that owe a DESTROY event, entries of packets still on their way. */
export type FlowList = (typeof FLOW_LISTS)[number];
export const FLOW_LISTS = ['conntrack', 'dying', 'unconfirmed'] as const;

/** What a scan calls. Views are borrowed: copy what is to be kept. */
export interface ScanVisitor {
  readonly entry: (view: View) => void;
  /**
   * A batch has arrived; its entries follow once the promise has settled. A good moment to look at the clock, or to wait for a slow
   * reader.
   */
  readonly beginBatch?: (() => void | Promise<void>) | undefined;
  /** Called after every hundred entries or so; if it returns a promise, the scan waits for it. An exception ends the scan. */
  readonly pause?: (() => Promise<void> | undefined) | undefined;
}

/** Parts of a list that wait to be visited, if they are to be few. */
const FEW_PARTS = 2;

/** How a table is scanned. */
export interface ScanOptions {
  /** Default `conntrack`. */
  readonly list?: FlowList;
  /** Reset the counters of every entry of the filter's family while reading, including entries that the filter leaves out. */
  readonly zero?: boolean;
  /** The caller's thread never waits for the kernel, so other work goes on. This takes longer for a small table. */
  readonly background?: boolean;
  /** It comes again and again: it takes small receive buffers, as each list leaves its own to the collector. */
  readonly recurrent?: boolean;
  /** How many threads can run at the same time. Default: as many as the process may use. For tests. */
  readonly processors?: number;
  /** A table with fewer entries is listed in one dump. For tests. */
  readonly severalDumpsFrom?: number;
}

/** How one dump of those a list is made of is run. */
interface DumpWay extends Pick<DumpRequest, 'large' | 'thread'> {
  /** What the kernel may filter; `undefined`: nothing at all. */
  readonly trusted: TupleFilter | undefined;
  /** Whether an entry that comes belongs to another dump. */
  readonly isOther?: FlowPredicate | undefined;
}

const GET_BY_LIST: Readonly<Record<FlowList, RequestRow>> = {
  conntrack: CT_GET,
  dying: CT_GET_DYING,
  unconfirmed: CT_GET_UNCONFIRMED,
};

/** What a list asks the kernel for. */
export interface TableRequests {
  readonly requests: KernelRequests;
  readonly trusted: TupleFilter;
}

/**
 * What a list has to ask the kernel for; `undefined`: nothing. A recording is not from this kernel, so it gets the requests that every
 * kernel since 5.8 gets.
 */
export async function tableRequests(
  filter: FlowFilter,
  zero: boolean,
  transport: OpenTransport,
): Promise<TableRequests | undefined> {
  if (zero) return { requests: familyRequests(filter), trusted: 'nothing' };
  const requests = kernelRequests(filter, 'noIpv6Address', true);
  if (!requests) return undefined;
  const { common, alternatives } = requests;
  if (!asksKernel(transport) || (common.family !== AF_INET6 && alternatives.length === 1))
    return { requests, trusted: 'noIpv6Address' };
  const { kernelIsAtLeast } = await import('../wire/kernel.js'); // needed by few
  const trusted = kernelIsAtLeast(7, 3) ? 'everything' : 'noIpv6Address';
  return { requests: kernelRequests(filter, trusted, kernelIsAtLeast(5, 8))!, trusted };
}

/** Reads only the first part of a dump. */
export async function sampleTable(sockets: SocketPool, purpose: DumpPurpose): Promise<TableSample> {
  const sampler = new Sampler(purpose);
  const view = createFlowView();
  const message = (bytes: Uint8Array, at: number, end: number) => {
    if (sampler.full) return;
    view.decode(bytes, at, end);
    sampler.add(view);
  };
  const way = { large: purpose.background };
  await sockets.once((channel) => channel.beginDump(CT_GET, AF_UNSPEC, { message }, way));
  return sampler;
}

/** Visits the entries of all dumps of a list. */
export async function dumpPlanned(
  sockets: SocketPool,
  plan: DumpPlan,
  filter: FlowFilter,
  trusted: TupleFilter,
  visitor: ScanVisitor,
  options: ScanOptions,
): Promise<void> {
  const { dumps, order } = plan;
  const shares = plan.of === 'alternatives' ? new Shares(plan, trusted) : undefined;
  const shared = order === 'shared thread' ? new SharedThread() : undefined;
  const thread = order === 'on the caller' ? SharedThread.none() : shared;
  const large = dumps.length > 1 && order !== 'on the caller';
  // They begin in this order: the first has the thread.
  const run = (dump: PlannedDump, n: number) =>
    dumpFlows(sockets, dump, filter, visitor, options, { trusted, large, thread, isOther: shares?.isOther(n) });
  const left = [...dumps.entries()];
  const lane = async () => {
    for (let next = left.shift(); next && !shares?.complete; next = left.shift())
      try {
        await run(next[1], next[0]);
      } catch (error) {
        left.length = 0;
        throw error;
      }
  };
  await allSettledFirstError(Array.from({ length: plan.lanes }, lane));
}

/**
 * Which entry belongs to which of the dumps of alternatives: to the first whose alternative it is of. That compares nothing that changes,
 * so an entry that exists throughout is shown once. If an entry comes that is not of the alternative, the kernel ignores what it has been
 * asked for, and everything comes: then this dump has what those before it have not, and those behind it are not needed. Dumps that run
 * at the same time keep to their own.
 */
class Shares {
  readonly #owners: readonly FlowPredicate[];
  readonly #atOnce: boolean;
  complete = false;

  constructor({ dumps, lanes }: DumpPlan, trusted: TupleFilter) {
    this.#owners = dumps.map(({ atoms }) => isOf(atoms, trusted));
    this.#atOnce = lanes > 1;
  }

  /** Whether an entry that comes in dump `n` belongs to another one. */
  isOther(n: number): FlowPredicate {
    const own = this.#owners[n]!;
    return (view) => {
      if (!own(view)) {
        if (this.#atOnce) return true;
        this.complete = true;
      }
      for (let i = 0; i < n; i++) if (this.#owners[i]!(view)) return true;
      return false;
    };
  }
}

/** Visits the entries of one dump. */
export async function dumpFlows(
  sockets: SocketPool,
  { family, atoms }: PlannedDump,
  filter: FlowFilter,
  visitor: ScanVisitor,
  options: ScanOptions,
  way: DumpWay,
): Promise<void> {
  const { trusted, thread, isOther } = way;
  // The other lists cannot be reset: there `zero` is without effect, as in the C tool.
  const request =
    options.zero && (options.list ?? 'conntrack') === 'conntrack' ? CT_GET_CTRZERO : GET_BY_LIST[options.list ?? 'conntrack'];
  const wanted = compileFilter(filter, Date.now);
  const view = createFlowView();
  const repeats = new BoundaryDuplicates();
  let begun = false;
  const each = {
    message: (bytes: Uint8Array, at: number, end: number) => {
      begun = true;
      view.decode(bytes, at, end);
      if (repeats.isRepeat(view, at) || isOther?.(view) || (wanted && !wanted(view))) return;
      visitor.entry(view);
    },
    endDatagram: (bytes: Uint8Array) => repeats.endDatagram(bytes),
    beginBatch: visitor.beginBatch,
    pause: visitor.pause,
  };
  // With `zero`, only the family narrows the dump: the counters of every entry that is dumped are reset.
  let filtered = false;
  const build = (tuple: TupleFilter | undefined) => (out: MessageWriter) => {
    if (tuple && !options.zero) filtered = putAtoms(out, atoms, family, tuple);
  };
  const large = way.large || options.background;
  // Whatever has been received has been reset, so receive no more than needed, in case nobody reads it.
  const ahead = options.zero ? 1 : options.recurrent ? FEW_PARTS : undefined;
  await sockets.with(async (channel) => {
    try {
      await channel.dump(request, family, build(trusted), each, { large, thread, ahead });
    } catch (error) {
      // Kernels that know CTA_FILTER but not this use of it refuse before the first entry: ask again without.
      if (!filtered || begun || !(error instanceof KernelError)) throw error;
      if (error.errno !== EINVAL && error.errno !== EOPNOTSUPP) throw error;
      await channel.dump(request, family, build('nothing'), each, { large, thread, ahead });
    }
  });
}

/** Waits for all, so that no buffer is in use any more, then throws the first failure. */
async function allSettledFirstError(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
