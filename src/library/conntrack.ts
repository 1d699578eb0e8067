// Conntrack: the connection tracking table of one network namespace.

import { putTuple, type TupleSpec } from '../ctnetlink/encode.js';
import { type ExpectationSpec, putExpectation } from '../ctnetlink/expectation-spec.js';
import { S } from '../ctnetlink/fields.js';
import { compileFilter, type FlowFilter } from '../ctnetlink/filter.js';
import { changesFlow, type FlowChange } from '../ctnetlink/flow-change.js';
import { type FlowSpec, putFlow } from '../ctnetlink/flow-spec.js';
import { exactKey, putKernelFilter, requiredFamily } from '../ctnetlink/kernel-filter.js';
import { CPU_STATISTICS, createStatisticsView, EXPECTATION_STATISTICS, GLOBAL_STATISTICS } from '../ctnetlink/statistics.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import {
  CTA_EXPECT_TUPLE,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_GET_CTRZERO,
  IPCTNL_MSG_CT_GET_DYING,
  IPCTNL_MSG_CT_GET_STATS,
  IPCTNL_MSG_CT_GET_STATS_CPU,
  IPCTNL_MSG_CT_GET_UNCONFIRMED,
  IPCTNL_MSG_CT_NEW,
  IPCTNL_MSG_EXP_DELETE,
  IPCTNL_MSG_EXP_GET,
  IPCTNL_MSG_EXP_GET_STATS_CPU,
  IPCTNL_MSG_EXP_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createExpectationView, createFlowView, type View } from '../ctnetlink/view.js';
import { KernelError } from '../errors.js';
import { putBe32 } from '../wire/bytes.js';
import { EBUSY, EINVAL, ENOENT, EOPNOTSUPP, EPERM } from '../wire/errno.js';
import { kernelIsAtLeast } from '../wire/kernel.js';
import type { MessageWriter } from '../wire/message.js';
import type { VisitMessage } from '../wire/request.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { BoundaryDuplicates } from './boundary-duplicates.js';
import { Channel, ctnetlink, expectations } from './channel.js';
import type { EncodedFlows, SingleRequest } from './encoded-flows.js';
import { type ChangeResult, emptyResult, flowDeleter, flowUpdater } from './flow-changes.js';

/** Lists of entries the kernel keeps: the table itself, entries that owe a DESTROY event, entries of packets still on their way. */
export type FlowList = 'conntrack' | 'dying' | 'unconfirmed';

/** What a scan calls. Views are borrowed: copy what is to be kept. */
export interface ScanVisitor {
  readonly entry: (view: View) => void;
  /** A batch arrived, its entries follow: the place to look at the clock. */
  readonly beginBatch?: (() => void) | undefined;
}

export interface ScanOptions {
  /** Default `conntrack`. */
  readonly list?: FlowList;
  /** Reset the counters of every entry of the filter's family while reading them: also of those the filter leaves out. */
  readonly zero?: boolean;
}

/** How one entry is asked for. One of the tuples must be complete; ORIGINAL wins when both are given. */
export interface FlowKey {
  readonly family: number;
  readonly original?: TupleSpec;
  readonly reply?: TupleSpec;
  readonly zone?: number | undefined;
}

/** Entries in the table, and how many this network namespace may have. */
export interface TableCount {
  readonly entries: number;
  /** Absent before Linux 5.11. */
  readonly maxEntries: number | undefined;
}

/** What the kernel says to an update of what only new flows take; EPERM to a timeout that is fixed. */
const FIXED_PART_ERRORS: ReadonlySet<number> = new Set([EBUSY, EOPNOTSUPP, EPERM]);

/** Dumps use 0 and 1; changes that go on during a dump this one. */
const WRITE_CHANNEL = 2;

/** From this many entries on, both families are dumped at the same time on two sockets; below, the kernel's order is kept. */
const PARALLEL_FROM = 32768;

const GET_BY_LIST: Readonly<Record<FlowList, readonly [number, string]>> = {
  conntrack: [IPCTNL_MSG_CT_GET, 'CT_GET'],
  dying: [IPCTNL_MSG_CT_GET_DYING, 'CT_GET_DYING'],
  unconfirmed: [IPCTNL_MSG_CT_GET_UNCONFIRMED, 'CT_GET_UNCONFIRMED'],
};

/** The tracking table of the network namespace that the process is in. Needs CAP_NET_ADMIN there. */
export class Conntrack {
  #channels: (Channel | undefined)[] = [];

  private constructor() {}

  /** Opens the table. @throws SystemError, PlatformError */
  static open(): Conntrack {
    const conntrack = new Conntrack();
    conntrack.#channel(0);
    return conntrack;
  }

  /**
   * Calls `visitor.entry` for each entry that the filter wants. What the kernel can filter, it filters; the view is checked again.
   * A table in use is not frozen: entries that are there throughout come once, others perhaps.
   * @internal
   */
  async scan(filter: FlowFilter, visitor: ScanVisitor, options: ScanOptions = {}): Promise<void> {
    const list = options.list ?? 'conntrack';
    if (list !== 'conntrack') return this.#dumpFlows(0, requiredFamily(filter), filter, visitor, options, false);
    const key = options.zero ? undefined : exactKey(filter);
    const family = requiredFamily(filter);
    if (key && family !== AF_UNSPEC) {
      visitor.beginBatch?.();
      try {
        this.get({ family, original: key.tuple, zone: key.zone }, filter, (view) => {
          withoutOwnReference(view);
          visitor.entry(view);
        });
      } catch (error) {
        if (!(error instanceof KernelError && error.errno === ENOENT)) throw error; // a list without entries is no error
      }
    } else if (family === AF_UNSPEC && this.count().entries >= PARALLEL_FROM) {
      await allSettledFirstError([
        this.#dumpFlows(0, AF_INET, filter, visitor, options, true),
        this.#dumpFlows(1, AF_INET6, filter, visitor, options, true),
      ]);
    } else await this.#dumpFlows(0, family, filter, visitor, options, true);
  }

  /**
   * Asks for one entry. The kernel finds it by either of its tuples; the filter decides whether it is the one that is meant.
   * The answer's reference count includes this request.
   * @returns whether an entry was found and wanted
   * @throws KernelError, with `code` ENOENT when there is none
   * @internal
   */
  get(key: FlowKey, filter: FlowFilter, visit: (view: View) => void): boolean {
    const wanted = compileFilter(filter);
    const view = createFlowView();
    let found = false;
    const build = (message: MessageWriter) => {
      if (key.original) putTuple(message, CTA_TUPLE_ORIG, key.original);
      else if (key.reply) putTuple(message, CTA_TUPLE_REPLY, key.reply);
      if (key.zone !== undefined) message.be16(CTA_ZONE, key.zone);
    };
    this.#channel(0).transact('CT_GET', ctnetlink(IPCTNL_MSG_CT_GET), key.family, build, (bytes, at, end) => {
      view.decode(bytes, at, end);
      if (wanted && !wanted(view)) return;
      found = true;
      visit(view);
    });
    return found;
  }

  /** How many entries the table has, all families and zones. Source: GET_STATS. */
  count(): TableCount {
    const view = createStatisticsView(GLOBAL_STATISTICS);
    this.#channel(0).transact('CT_GET_STATS', ctnetlink(IPCTNL_MSG_CT_GET_STATS), AF_UNSPEC, undefined, (bytes, at, end) =>
      view.decode(bytes, at, end),
    );
    return { entries: view.be32(0), maxEntries: view.has(1) ? view.be32(1) : undefined };
  }

  /** Calls `visit` with the counters of each CPU; slot n is name n of CPU_STATISTICS. @internal */
  async scanStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(CPU_STATISTICS);
    await this.#channel(0).dump('CT_GET_STATS_CPU', ctnetlink(IPCTNL_MSG_CT_GET_STATS_CPU), AF_UNSPEC, undefined, {
      message: decodeThen(view, visit),
    });
  }

  /** As `scanStatistics`, for expectations; slot n is name n of EXPECTATION_STATISTICS. @internal */
  async scanExpectationStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(EXPECTATION_STATISTICS);
    await this.#channel(0).dump('EXP_GET_STATS_CPU', expectations(IPCTNL_MSG_EXP_GET_STATS_CPU), AF_UNSPEC, undefined, {
      message: decodeThen(view, visit),
    });
  }

  /** Calls `visitor.entry` for each expectation of a family, AF_UNSPEC for both. @internal */
  async scanExpectations(family: number, visitor: ScanVisitor): Promise<void> {
    const view = createExpectationView();
    await this.#channel(0).dump('EXP_GET', expectations(IPCTNL_MSG_EXP_GET), family, undefined, {
      message: decodeThen(view, visitor.entry),
      beginBatch: visitor.beginBatch,
    });
  }

  /** Asks for the expectation of one tuple. @throws KernelError, with `code` ENOENT when there is none. @internal */
  getExpectation(family: number, tuple: TupleSpec, visit: (view: View) => void): void {
    const view = createExpectationView();
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#channel(0).transact('EXP_GET', expectations(IPCTNL_MSG_EXP_GET), family, build, decodeThen(view, visit));
  }

  /**
   * Deletes the flows that the filter wants. `deleted` gets each as it was listed. A flow is named by tuple, zone and id, so that a
   * newer one with the same tuple stays.
   * @internal
   */
  async delete(filter: FlowFilter, deleted: (view: View) => void, beginBatch?: () => void): Promise<ChangeResult> {
    const result = emptyResult();
    const deleter = flowDeleter(this.#channel(WRITE_CHANNEL), result, deleted);
    await this.scan(filter, { entry: (view) => deleter.add(view), beginBatch });
    deleter.finish();
    return result;
  }

  /**
   * Updates the flows that the filter wants. `updated` gets each as the kernel has it afterwards.
   * @internal
   */
  async update(
    filter: FlowFilter,
    change: FlowChange,
    updated: (view: View) => void,
    beginBatch?: () => void,
  ): Promise<ChangeResult> {
    const result = emptyResult();
    const updater = flowUpdater(this.#channel(WRITE_CHANNEL), result, change, updated);
    await this.scan(filter, {
      entry: (view) => {
        if (changesFlow(view, change)) updater.add(view);
        else {
          result.matched++;
          result.unchanged++;
        }
      },
      beginBatch,
    });
    updater.finish();
    return result;
  }

  /** Creates a flow, or with `mayExist` updates the one that is there. @throws KernelError, with `code` EEXIST when it is there */
  create(flow: FlowSpec, options: { readonly mayExist?: boolean } = {}): void {
    const flags = NLM_F_CREATE | (options.mayExist ? 0 : NLM_F_EXCL);
    const build = (message: MessageWriter) => putFlow(message, flow);
    this.#channel(0).transact('CT_NEW', ctnetlink(IPCTNL_MSG_CT_NEW), flow.family, build, undefined, { flags });
  }

  /**
   * Creates many flows in one send. `failed` gets each refusal with the flow's index; the others are in the table.
   * A flow that exists and may be updated, but not in its NAT, status, helper, master or fixed timeout, gets the rest of its values.
   * @returns how many flows got only that
   * @internal
   */
  createEncoded(flows: EncodedFlows, failed: (index: number, error: KernelError) => void): number {
    const again = new Map<number, 'with timeout' | 'without timeout'>();
    this.#channel(0).sendEncoded('CT_NEW', flows, (index, error) => {
      if (flows.mayExist(index) && FIXED_PART_ERRORS.has(error.errno))
        again.set(index, error.errno === EPERM ? 'without timeout' : 'with timeout');
      else failed(index, error);
    });
    let partly = 0;
    for (const [index, timeout] of again) {
      try {
        this.createSingle({ ...flows.withoutFixedParts(index, timeout), flags: 0 });
        partly++;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        failed(index, error);
      }
    }
    return partly;
  }

  /** Creates one flow out of an encoded batch. @throws KernelError @internal */
  createSingle(request: SingleRequest): void {
    const { flags } = request;
    this.#channel(0).transact('CT_NEW', ctnetlink(IPCTNL_MSG_CT_NEW), request.family, request.put, undefined, { flags });
  }

  /**
   * Empties the table, or drops all flows of one family. Source: ctnetlink.md 4.4.
   * Kernels before 5.3 empty the table whatever the family: there the flows of the family are deleted one by one.
   */
  async flush(family: number = AF_UNSPEC): Promise<void> {
    if (family !== AF_UNSPEC && !kernelIsAtLeast(5, 3)) {
      await this.delete({ kind: 'family', family }, () => {});
      return;
    }
    // A version other than 0 means: heed the family.
    const extra = { version: family === AF_UNSPEC ? 0 : 1 };
    this.#channel(0).transact('CT_DELETE', ctnetlink(IPCTNL_MSG_CT_DELETE), family, undefined, undefined, extra);
  }

  /** Creates an expectation. @throws KernelError, with `code` ENOENT when the master does not exist */
  createExpectation(expectation: ExpectationSpec): void {
    const extra = { flags: NLM_F_CREATE | NLM_F_EXCL };
    const build = (message: MessageWriter) => putExpectation(message, expectation);
    this.#channel(0).transact('EXP_NEW', expectations(IPCTNL_MSG_EXP_NEW), expectation.family, build, undefined, extra);
  }

  /** Deletes the expectation of one complete tuple. @throws KernelError, with `code` ENOENT when there is none */
  deleteExpectation(family: number, tuple: TupleSpec): void {
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#channel(0).transact('EXP_DELETE', expectations(IPCTNL_MSG_EXP_DELETE), family, build);
  }

  /** Drops all expectations, of both families. */
  flushExpectations(): void {
    this.#channel(0).transact('EXP_DELETE', expectations(IPCTNL_MSG_EXP_DELETE), AF_UNSPEC, undefined);
  }

  /** Idempotent. */
  close(): void {
    for (const channel of this.#channels) channel?.close(); // sparse: made as they are needed
    this.#channels = [];
  }

  async #dumpFlows(
    channel: number,
    family: number,
    filter: FlowFilter,
    visitor: ScanVisitor,
    options: ScanOptions,
    kernelFilter: boolean,
  ): Promise<void> {
    // The other lists cannot be reset: there `zero` is without effect, as in the C tool.
    const [message, name] =
      options.zero && (options.list ?? 'conntrack') === 'conntrack'
        ? [IPCTNL_MSG_CT_GET_CTRZERO, 'CT_GET_CTRZERO']
        : GET_BY_LIST[options.list ?? 'conntrack'];
    const wanted = compileFilter(filter);
    const view = createFlowView();
    const repeats = new BoundaryDuplicates();
    const each = {
      message: (bytes: Uint8Array, at: number, end: number) => {
        view.decode(bytes, at, end);
        if (repeats.isRepeat(view, at) || (wanted && !wanted(view))) return;
        visitor.entry(view);
      },
      endDatagram: (bytes: Uint8Array) => repeats.endDatagram(bytes),
      beginBatch: visitor.beginBatch,
    };
    // With `zero`, only the family narrows the dump: the counters of every entry that is dumped are reset.
    let filtered = false;
    const build = (tupleFilter: boolean) => (out: MessageWriter) => {
      if (kernelFilter && !options.zero) filtered = putKernelFilter(out, filter, family, tupleFilter);
    };
    try {
      await this.#channel(channel).dump(name, ctnetlink(message), family, build(true), each);
    } catch (error) {
      // Kernels that know CTA_FILTER but not this use of it refuse before the first entry: ask again without.
      if (!(filtered && error instanceof KernelError && (error.errno === EINVAL || error.errno === EOPNOTSUPP))) throw error;
      await this.#channel(channel).dump(name, ctnetlink(message), family, build(false), each);
    }
  }

  #channel(index: number): Channel {
    this.#channels[index] ??= new Channel();
    return this.#channels[index];
  }
}

function decodeThen(view: View, visit: (view: View) => void): VisitMessage {
  return (bytes, at, end) => {
    view.decode(bytes, at, end);
    visit(view);
  };
}

/** A GET counts its own reference to the entry: take it off, so that the entry reads as in a dump. */
function withoutOwnReference(view: View): void {
  const at = view.offset(S.use);
  if (at !== 0) putBe32(view.bytes, at, view.be32(S.use) - 1);
}

/** Waits for all, so that no buffer is in use any more, then throws the first failure. */
async function allSettledFirstError(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
