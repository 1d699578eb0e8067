// ConntrackTable: the connection tracking table of one network namespace, as borrowed views. What the command and the public API use.

import { type FlowKey, putFlowKey, putTuple, type TupleSpec } from '../ctnetlink/encode.js';
import { type ExpectationSpec, putExpectation } from '../ctnetlink/expectation-spec.js';
import { S } from '../ctnetlink/fields.js';
import { compileFilter } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { exactKey, putKernelFilter, requiredFamily, type TupleFilter } from '../ctnetlink/filter/kernel-filter.js';
import type { Family } from '../ctnetlink/flow.js';
import { changesFlow, type FlowChange, hasLabels } from '../ctnetlink/flow-change.js';
import { type FlowSpec, putFlow } from '../ctnetlink/flow-spec.js';
import { CPU_STATISTICS, createStatisticsView, EXPECTATION_STATISTICS, GLOBAL_STATISTICS } from '../ctnetlink/statistics.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import {
  CTA_EXPECT_TUPLE,
  CTA_ID,
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
import { ClosedError, isMissing, KernelError, NoAnswerError } from '../errors.js';
import type { VisitMessage } from '../wire/answers.js';
import { putBe32 } from '../wire/bytes.js';
import { type DumpRequest, type DumpVisitor, SharedThread } from '../wire/dump.js';
import { EBUSY, EEXIST, EINVAL, ENOSPC, EOPNOTSUPP, EPERM, errnoName, errnoReason } from '../wire/errno.js';
import type { MessageWriter } from '../wire/message.js';
import { NetworkNamespace } from '../wire/netns.js';
import { asksKernel, NetlinkSocket } from '../wire/socket.js';
import type { OpenTransport } from '../wire/transport.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { BoundaryDuplicates } from './boundary-duplicates.js';
import { Channel, ctnetlink, expectations } from './channel.js';
import { type DumpPlan, type DumpPurpose, type PlannedDump, planDumps, Sampler, type TableSample } from './dump-plan.js';
import { type ChangeResult, emptyResult, flowDeleter, flowUpdater, updateKeys } from './flow-changes.js';
import type { EncodedFlows, EncodedPlace } from './load/encoded-flows.js';

/** How one dump of those a list is made of is run. */
interface DumpWay extends Pick<DumpRequest, 'large' | 'thread'> {
  /** What the kernel may filter; `undefined`: nothing at all. */
  readonly trusted: TupleFilter | undefined;
}

/** Lists of entries the kernel keeps: the table itself, entries that owe a DESTROY event, entries of packets still on their way. */
export type FlowList = (typeof FLOW_LISTS)[number];
export const FLOW_LISTS = ['conntrack', 'dying', 'unconfirmed'] as const;

/** What a scan calls. Views are borrowed: copy what is to be kept. */
export interface ScanVisitor {
  readonly entry: (view: View) => void;
  /** A batch arrived, its entries follow, when the promise has settled: the place to look at the clock, or to wait for a slow reader. */
  readonly beginBatch?: (() => void | Promise<void>) | undefined;
  /** Asked behind every hundred entries or so: a promise is waited for. What it throws ends the scan. */
  readonly pause?: (() => Promise<void> | undefined) | undefined;
}

/** How a table is scanned. */
export interface ScanOptions {
  /** Default `conntrack`. */
  readonly list?: FlowList;
  /** Reset the counters of every entry of the filter's family while reading them: also of those the filter leaves out. */
  readonly zero?: boolean;
  /** The thread of the caller never waits for the kernel: other work goes on. A small table takes longer so. */
  readonly background?: boolean;
  /** How many threads can run at the same time. Default: as many as the process may use. For tests. @internal */
  readonly processors?: number;
}

/** How a change of many flows is run. */
export interface ChangeOptions extends Pick<ScanVisitor, 'beginBatch' | 'pause'>, Pick<ScanOptions, 'background'> {}

/** Entries in the table, and how many this network namespace may have. */
export interface TableCount {
  readonly entries: number;
  /** Absent before Linux 5.11. */
  readonly maxEntries: number | undefined;
}

/** What the kernel says to an update of what only new flows take; EPERM to a timeout that is fixed. */
const FIXED_PART_ERRORS: ReadonlySet<number> = new Set([EBUSY, EOPNOTSUPP, EPERM]);

/** As it was, or without what only new flows take, and perhaps without its timeout. */
type Again = 'whole' | 'with timeout' | 'without timeout';

/**
 * How a flow that may exist is sent again after a refusal, if that can help. EEXIST: there was none, and then there was one, which may be
 * on its way out: the kernel takes a flow for gone a moment before its place is free.
 */
function howAgain({ errno }: KernelError): Again | undefined {
  if (errno === EEXIST) return 'whole';
  if (!FIXED_PART_ERRORS.has(errno)) return undefined;
  return errno === EPERM ? 'without timeout' : 'with timeout';
}

/** Sockets kept open for what comes next: two dumps and a change. */
const IDLE_KEPT = 3;

const GET_BY_LIST: Readonly<Record<FlowList, readonly [number, string]>> = {
  conntrack: [IPCTNL_MSG_CT_GET, 'CT_GET'],
  dying: [IPCTNL_MSG_CT_GET_DYING, 'CT_GET_DYING'],
  unconfirmed: [IPCTNL_MSG_CT_GET_UNCONFIRMED, 'CT_GET_UNCONFIRMED'],
};

/** How a table is opened. */
export interface ConntrackOptions {
  /**
   * The network namespace: a name of `ip netns`, a path (with a `/`), the id of a process in it, or one that is open (and stays
   * the caller's to close). Digits are a process id unless there is such a name. Default: the one the process is in. The process
   * stays where it is. Needs CAP_SYS_ADMIN. Matches `--netns`.
   */
  readonly netns?: string | number | NetworkNamespace | undefined;
  /** What carries datagrams to the kernel; something that stands in for it, such as `Replay` of `conntrack/testing`. */
  readonly transport?: OpenTransport | undefined;
}

/** The tracking table of one network namespace. Needs CAP_NET_ADMIN there. */
export class ConntrackTable {
  /** Open and free. Whatever is under way has one of its own, so that several things may be under way. */
  readonly #idle: Channel[] = [];
  #closed = false;
  /** Kept open: sockets are made as they are needed, and all of them in the same namespace. */
  readonly #namespace: NetworkNamespace | undefined;
  readonly #ownsNamespace: boolean;

  readonly #open: OpenTransport;

  private constructor({ netns, transport }: ConntrackOptions) {
    this.#open = transport ?? NetlinkSocket.open;
    this.#ownsNamespace = typeof netns !== 'object';
    this.#namespace = typeof netns === 'object' || netns === undefined ? netns : NetworkNamespace.open(netns);
  }

  /** Opens the table. @throws SystemError, PlatformError, NamespaceError */
  static open(options: ConntrackOptions = {}): ConntrackTable {
    const table = new ConntrackTable(options);
    try {
      table.#release(table.#take());
    } catch (error) {
      table.close();
      throw error;
    }
    return table;
  }

  /**
   * Calls `visitor.entry` for each entry that the filter wants. What the kernel can filter, it filters; the view is checked again.
   * A table in use is not frozen: entries that are there throughout come once, others perhaps.
   * @internal
   */
  async scan(filter: FlowFilter, visitor: ScanVisitor, options: ScanOptions = {}): Promise<void> {
    const { list = 'conntrack', zero = false, background = false } = options;
    const family = requiredFamily(filter);
    if (list !== 'conntrack') return this.#dumpFlows({ family }, filter, visitor, options, { trusted: undefined });
    const key = zero ? undefined : exactKey(filter);
    if (key && family !== AF_UNSPEC) {
      await visitor.beginBatch?.();
      if (this.#visitEntry({ family, original: key.tuple, zone: key.zone }, filter, visitor) || !key.orElsewhere) return;
    }
    const purpose = { filter, zero, background };
    const plan = await planDumps(purpose, {
      entries: () => this.count().entries,
      processors: async () => options.processors ?? (await import('../wire/processors.js')).processors(),
      sample: () => this.#sample(purpose),
    });
    await this.#dumpPlanned(plan, filter, visitor, options);
  }

  /** As `scan`, of the one entry that has this key. @returns whether it is there and wanted: a list without entries is no error */
  #visitEntry(key: FlowKey, filter: FlowFilter, visitor: ScanVisitor): boolean {
    try {
      return this.get(key, filter, (view) => {
        withoutOwnReference(view);
        visitor.entry(view);
      });
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
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
    const build = (message: MessageWriter) => putFlowKey(message, key);
    this.#transact('CT_GET', ctnetlink(IPCTNL_MSG_CT_GET), key.family, build, (bytes, at, end) => {
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
    let count: TableCount | undefined;
    const visit = decodeThen(view, () => {
      // Read at once: the acknowledgement may come later, over these bytes.
      count = { entries: view.be32(0), maxEntries: view.has(1) ? view.be32(1) : undefined };
    });
    this.#transact('CT_GET_STATS', ctnetlink(IPCTNL_MSG_CT_GET_STATS), AF_UNSPEC, undefined, visit);
    if (!count) throw new NoAnswerError('CT_GET_STATS: the kernel gave no answer');
    return count;
  }

  /** Calls `visit` with the counters of each CPU; slot n is name n of CPU_STATISTICS. @internal */
  async scanStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(CPU_STATISTICS);
    await this.#dump('CT_GET_STATS_CPU', ctnetlink(IPCTNL_MSG_CT_GET_STATS_CPU), AF_UNSPEC, { message: decodeThen(view, visit) });
  }

  /** As `scanStatistics`, for expectations; slot n is name n of EXPECTATION_STATISTICS. @internal */
  async scanExpectationStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(EXPECTATION_STATISTICS);
    const message = decodeThen(view, visit);
    await this.#dump('EXP_GET_STATS_CPU', expectations(IPCTNL_MSG_EXP_GET_STATS_CPU), AF_UNSPEC, { message });
  }

  /** Calls `visitor.entry` for each expectation of a family, AF_UNSPEC for both. @internal */
  async scanExpectations(family: number, visitor: ScanVisitor, background = false): Promise<void> {
    const view = createExpectationView();
    const each = { message: decodeThen(view, visitor.entry), beginBatch: visitor.beginBatch, pause: visitor.pause };
    await this.#dump('EXP_GET', expectations(IPCTNL_MSG_EXP_GET), family, each, background);
  }

  /** Asks for the expectation of one tuple. @throws KernelError, with `code` ENOENT when there is none. @internal */
  getExpectation(family: number, tuple: TupleSpec, visit: (view: View) => void): void {
    const view = createExpectationView();
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#transact('EXP_GET', expectations(IPCTNL_MSG_EXP_GET), family, build, decodeThen(view, visit));
  }

  /**
   * Deletes the flows that the filter wants. `deleted` gets each as it was listed. A flow is named by tuple, zone and id. A
   * newer one with the same tuple stays only if its id differs, which often it does not (docs/kernel.md 2.1).
   * @internal
   */
  async delete(
    filter: FlowFilter,
    deleted: (view: View) => void,
    { beginBatch, pause, background = false }: ChangeOptions = {},
  ): Promise<ChangeResult> {
    const result = emptyResult();
    await this.#with(async (channel) => {
      const deleter = flowDeleter(channel, result, deleted, background);
      const entry = (view: View) => deleter.add(view);
      await this.scan(filter, { entry, beginBatch, pause: () => both(deleter.pause(), pause) }, { background });
      await deleter.finish();
    });
    return result;
  }

  /**
   * Deletes flows by their keys, a batch in one send, on another thread. `failed` gets each refusal with the flow's index.
   * @internal
   */
  deleteKeys(keys: readonly FlowKey[], failed: (index: number, error: KernelError) => void): Promise<void> {
    return this.#with((channel) => {
      for (const key of keys)
        channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_DELETE), 0, key.family, (message) => {
          putFlowKey(message, key);
          if (key.id !== undefined) message.be32(CTA_ID, key.id);
        });
      return channel.sendBatch('CT_DELETE', undefined, failed, true);
    });
  }

  /**
   * Updates flows by their keys, no more than a batch of them, on another thread. Each is asked for first, since the kernel sets status
   * bits and tags as a whole and does not look at ids: what has another id by then is left alone.
   * @internal
   */
  updateKeys(keys: readonly FlowKey[], changeOf: (index: number) => FlowChange, result: ChangeResult): Promise<void> {
    return this.#with((channel) => updateKeys(channel, result, keys, changeOf));
  }

  /**
   * Updates the flows that the filter wants. `updated` gets each as the kernel has it afterwards.
   * @internal
   */
  async update(
    filter: FlowFilter,
    change: FlowChange,
    updated: (view: View) => void,
    { beginBatch, pause, background = false }: ChangeOptions = {},
  ): Promise<ChangeResult> {
    const result = emptyResult();
    await this.#with(async (channel) => {
      const updater = flowUpdater(channel, result, change, updated, background);
      const entry = (view: View) => {
        if (changesFlow(view, change)) updater.add(view);
        else {
          result.matched++;
          result.unchanged++;
        }
      };
      await this.scan(filter, { entry, beginBatch, pause: () => both(updater.pause(), pause) }, { background });
      await updater.finish();
    });
    return result;
  }

  /**
   * Creates a flow, or with `mayExist` updates the one that is there.
   * @throws KernelError, with `code` EEXIST when it is there, ENOSPC when it is there now and lacks nothing but its labels
   */
  create(flow: FlowSpec, options: { readonly mayExist?: boolean } = {}): void {
    const flags = NLM_F_CREATE | (options.mayExist ? 0 : NLM_F_EXCL);
    const build = (message: MessageWriter) => putFlow(message, flow);
    this.#transact('CT_NEW', ctnetlink(IPCTNL_MSG_CT_NEW), flow.family, build, undefined, { flags });
    const { labels } = flow;
    if (labels && !this.#isLabelled(flow.family, build, (view) => hasLabels(view, labels, flow.labelsMask))) throw noLabelRoom();
  }

  /**
   * Creates many flows in one send. `failed` gets each refusal with the flow's index; the others are in the table, but those that
   * `unlabelled` gets lack their labels.
   * A flow that exists and may be updated, but not in its NAT, status, helper, master or fixed timeout, gets the rest of its values.
   * @returns how many flows got only that
   * @internal
   */
  async createEncoded(
    flows: EncodedFlows,
    failed: (index: number, error: KernelError) => void,
    unlabelled: (index: number) => void,
    { background = false }: Pick<ScanOptions, 'background'> = {},
  ): Promise<number> {
    let partly = 0;
    await this.#with(async (channel) => {
      let again: (readonly [index: number, how: Again])[] = [];
      const done = new Set<number>();
      const refused = (index: number, error: KernelError) => {
        done.add(index);
        const how = flows.mayExist(index) ? howAgain(error) : undefined;
        if (error.errno === ENOSPC && flows.hasLabels(index)) unlabelled(index);
        else if (how) again.push([index, how]);
        else failed(index, error);
      };
      await channel.sendEncoded('CT_NEW', flows, refused, background);
      const created = Array.from({ length: flows.count }, (_, index) => index).filter((index) => !done.has(index));
      // Those that are sent again as a whole may be refused once more, in a part.
      while (again.length > 0) {
        const sent = again;
        again = [];
        for (const [index, how] of sent) {
          const { family, flags, put } = how === 'whole' ? flows.single(index) : flows.withoutFixedParts(index, how);
          channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_NEW), how === 'whole' ? flags : 0, family, put);
        }
        const others = new Map(sent);
        const refusedAgain = (i: number, error: KernelError) => {
          const [index, how] = sent[i]!;
          const next = how === 'whole' ? howAgain(error) : undefined;
          if (error.errno === ENOSPC) {
            unlabelled(index);
            if (how !== 'whole') return;
          } else if (next && next !== 'whole') again.push([index, next]);
          else failed(index, error);
          others.delete(index);
        };
        await channel.sendBatch('CT_NEW', undefined, refusedAgain, background);
        for (const [index, how] of others)
          if (how === 'whole') created.push(index);
          else partly++;
      }
      await this.#checkLabels(channel, created, (index) => ({ flows, index }), unlabelled, background);
    });
    return partly;
  }

  /**
   * Creates flows out of encoded batches, no more than a batch of them, in one send. `failed` gets each refusal with the flow's position;
   * the others are in the table, but those that `unlabelled` gets lack their labels. @internal
   */
  createPlaced(
    places: readonly EncodedPlace[],
    failed: (position: number, error: KernelError) => void,
    unlabelled: (position: number) => void,
    { background = false }: Pick<ScanOptions, 'background'> = {},
  ): Promise<void> {
    return this.#with(async (channel) => {
      for (const { flows, index } of places) {
        const { family, flags, put } = flows.single(index);
        channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_NEW), flags, family, put);
      }
      const created = new Set(places.keys());
      const refused = (position: number, error: KernelError) => {
        created.delete(position);
        if (error.errno === ENOSPC) unlabelled(position);
        else failed(position, error);
      };
      await channel.sendBatch('CT_NEW', undefined, refused, background);
      await this.#checkLabels(channel, [...created], (position) => places[position]!, unlabelled, background);
    });
  }

  /** Asks for a flow that was just created, by the request for it: a GET looks at its key alone. One that is gone is as it should be. */
  #isLabelled(family: number, build: (message: MessageWriter) => void, labelled: (view: View) => boolean): boolean {
    const view = createFlowView();
    let found = true;
    const visit = decodeThen(view, () => {
      found = labelled(view);
    });
    try {
      this.#transact('CT_GET', ctnetlink(IPCTNL_MSG_CT_GET), family, build, visit);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return found;
  }

  /**
   * Asks for those of the flows that shall have labels: to new ones the kernel gives none where no ruleset uses labels, and does not say
   * so. `unlabelled` gets those that lack theirs.
   */
  async #checkLabels(
    channel: Channel,
    created: readonly number[],
    placeOf: (one: number) => EncodedPlace,
    unlabelled: (one: number) => void,
    background: boolean,
  ): Promise<void> {
    const asked = created.filter((one) => {
      const { flows, index } = placeOf(one);
      return flows.hasLabels(index);
    });
    for (const one of asked) {
      const { flows, index } = placeOf(one);
      const { family, put } = flows.single(index);
      channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_GET), 0, family, put);
    }
    const view = createFlowView();
    const visit: VisitMessage = (bytes, at, end, i) => {
      view.decode(bytes, at, end);
      const { flows, index } = placeOf(asked[i]!);
      if (!flows.labelled(index, view)) unlabelled(asked[i]!);
    };
    const ended = (_: number, error: KernelError) => {
      if (!isMissing(error)) throw error; // else it has ended by itself
    };
    await channel.sendBatch('CT_GET', visit, ended, background);
  }

  /**
   * Empties the table, or drops all flows of one family. Source: docs/kernel.md 4.4.
   * Kernels before 5.3 empty the table whatever the family: there the flows of the family are deleted one by one.
   */
  async flush(family: number = AF_UNSPEC): Promise<void> {
    if (family !== AF_UNSPEC) {
      const { kernelIsAtLeast } = await import('../wire/kernel.js'); // needed here only
      if (!kernelIsAtLeast(5, 3)) {
        await this.delete({ kind: 'family', family }, () => {});
        return;
      }
    }
    // A version other than 0 means: heed the family.
    const version = family === AF_UNSPEC ? 0 : 1;
    await this.#with((channel) =>
      channel.transactAsync('CT_DELETE', ctnetlink(IPCTNL_MSG_CT_DELETE), family, undefined, version),
    );
  }

  /** Creates an expectation. @throws KernelError, with `code` ENOENT when the master does not exist */
  createExpectation(expectation: ExpectationSpec): void {
    const extra = { flags: NLM_F_CREATE | NLM_F_EXCL };
    const build = (message: MessageWriter) => putExpectation(message, expectation);
    this.#transact('EXP_NEW', expectations(IPCTNL_MSG_EXP_NEW), expectation.family, build, undefined, extra);
  }

  /** Deletes the expectation of one complete tuple. @throws KernelError, with `code` ENOENT when there is none */
  deleteExpectation(family: number, tuple: TupleSpec): void {
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#transact('EXP_DELETE', expectations(IPCTNL_MSG_EXP_DELETE), family, build);
  }

  /** Drops all expectations, of both families. */
  flushExpectations(): void {
    this.#transact('EXP_DELETE', expectations(IPCTNL_MSG_EXP_DELETE), AF_UNSPEC, undefined);
  }

  /** Where it is: for others that open something of their own there. @internal */
  get place(): { readonly namespace: NetworkNamespace | undefined; readonly transport: OpenTransport } {
    return { namespace: this.#namespace, transport: this.#open };
  }

  /** Idempotent. What is under way ends by itself, or at its next pause with ClosedError. */
  close(): void {
    this.#closed = true;
    for (const channel of this.#idle.splice(0)) channel.close();
    if (this.#ownsNamespace) this.#namespace?.close();
  }

  /** What of a tuple this kernel may filter. A recording is not of this kernel: it is asked what every kernel is asked. */
  async #trusted(family: number): Promise<TupleFilter> {
    if (family !== AF_INET6 || !asksKernel(this.#open)) return 'noIpv6Address';
    const { kernelIsAtLeast } = await import('../wire/kernel.js'); // needed by few
    return kernelIsAtLeast(7, 3) ? 'everything' : 'noIpv6Address';
  }

  /** Looks at the first part of a dump, and asks for no more of it. */
  async #sample(purpose: DumpPurpose): Promise<TableSample> {
    const sampler = new Sampler(purpose);
    const view = createFlowView();
    const message = (bytes: Uint8Array, at: number, end: number) => {
      if (sampler.full) return;
      view.decode(bytes, at, end);
      sampler.add(view);
    };
    const way = { large: purpose.background };
    const channel = this.#take();
    try {
      await channel.beginDump('CT_GET', ctnetlink(IPCTNL_MSG_CT_GET), AF_UNSPEC, { message }, way);
    } finally {
      channel.close();
    }
    return sampler;
  }

  /** Visits the entries of all dumps of a list. */
  async #dumpPlanned(plan: DumpPlan, filter: FlowFilter, visitor: ScanVisitor, options: ScanOptions): Promise<void> {
    const { dumps, order } = plan;
    const trusted = await Promise.all(dumps.map(({ family }) => this.#trusted(family)));
    const shared = order === 'shared thread' ? new SharedThread() : undefined;
    const thread = order === 'on the caller' ? SharedThread.none() : shared;
    const large = dumps.length > 1 && order !== 'on the caller';
    // They begin in this order: the first has the thread.
    const run = (dump: PlannedDump, n: number) =>
      this.#dumpFlows(dump, filter, visitor, options, { trusted: trusted[n], large, thread });
    if (order === 'shared thread' || order === 'threads') await allSettledFirstError(dumps.map(run));
    else for (const [n, dump] of dumps.entries()) await run(dump, n);
  }

  /** Visits the entries of one dump. */
  async #dumpFlows(
    { family }: PlannedDump,
    filter: FlowFilter,
    visitor: ScanVisitor,
    options: ScanOptions,
    way: DumpWay,
  ): Promise<void> {
    const { trusted, thread } = way;
    // The other lists cannot be reset: there `zero` is without effect, as in the C tool.
    const [message, name] =
      options.zero && (options.list ?? 'conntrack') === 'conntrack'
        ? [IPCTNL_MSG_CT_GET_CTRZERO, 'CT_GET_CTRZERO']
        : GET_BY_LIST[options.list ?? 'conntrack'];
    const wanted = compileFilter(filter);
    const view = createFlowView();
    const repeats = new BoundaryDuplicates();
    let begun = false;
    const each = {
      message: (bytes: Uint8Array, at: number, end: number) => {
        begun = true;
        view.decode(bytes, at, end);
        if (repeats.isRepeat(view, at) || (wanted && !wanted(view))) return;
        visitor.entry(view);
      },
      endDatagram: (bytes: Uint8Array) => repeats.endDatagram(bytes),
      beginBatch: visitor.beginBatch,
      pause: visitor.pause,
    };
    // With `zero`, only the family narrows the dump: the counters of every entry that is dumped are reset.
    let filtered = false;
    const build = (tuple: TupleFilter | undefined) => (out: MessageWriter) => {
      if (tuple && !options.zero) filtered = putKernelFilter(out, filter, family, tuple);
    };
    const large = way.large || options.background;
    // What has been received has been reset: no more than needed, in case that nobody looks at it.
    const ahead = options.zero ? 1 : undefined;
    await this.#with(async (channel) => {
      try {
        await channel.dump(name, ctnetlink(message), family, build(trusted), each, { large, thread, ahead });
      } catch (error) {
        // Kernels that know CTA_FILTER but not this use of it refuse before the first entry: ask again without.
        if (!filtered || begun || !(error instanceof KernelError)) throw error;
        if (error.errno !== EINVAL && error.errno !== EOPNOTSUPP) throw error;
        await channel.dump(name, ctnetlink(message), family, build('nothing'), each, { large, thread, ahead });
      }
    });
  }

  #transact(...request: Parameters<Channel['transact']>): void {
    this.#using((channel) => channel.transact(...request));
  }

  #dump(name: string, type: number, family: number, visitor: DumpVisitor, background = false): Promise<void> {
    return this.#with((channel) => channel.dump(name, type, family, undefined, visitor, { large: background }));
  }

  #using<T>(work: (channel: Channel) => T): T {
    const channel = this.#take();
    try {
      const result = work(channel);
      this.#release(channel);
      return result;
    } catch (error) {
      this.#releaseAfter(error, channel);
      throw error;
    }
  }

  async #with<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = this.#take();
    try {
      const result = await work(channel);
      this.#release(channel);
      return result;
    } catch (error) {
      this.#releaseAfter(error, channel);
      throw error;
    }
  }

  #take(): Channel {
    if (this.#closed) throw new ClosedError('the table is closed');
    return this.#idle.pop() ?? new Channel(this.#open({ namespace: this.#namespace }));
  }

  #release(channel: Channel): void {
    if (this.#closed || !channel.reusable || this.#idle.length >= IDLE_KEPT) channel.close();
    else this.#idle.push(channel);
  }

  /** An answer of the kernel ends a request whatever it says; after anything else the socket may be in the middle of one. */
  #releaseAfter(error: unknown, channel: Channel): void {
    if (error instanceof KernelError) this.#release(channel);
    else channel.close();
  }
}

/** The number of a family; of none, AF_UNSPEC: both. */
export function familyNumber(family: Family | undefined): number {
  return family === undefined ? AF_UNSPEC : family === 'ipv4' ? AF_INET : AF_INET6;
}

/** Waits for one thing and then another, if there is anything to wait for. */
function both(first: Promise<void> | undefined, then: (() => Promise<void> | undefined) | undefined): Promise<void> | undefined {
  return first ? first.then(then) : then?.();
}

/** As the kernel refuses labels to a flow that exists. New ones it creates without, and says nothing. */
export function noLabelRoom(): KernelError {
  return new KernelError('CT_NEW', ENOSPC, errnoName(ENOSPC), errnoReason(ENOSPC));
}

function decodeThen(view: View, visit: (view: View) => void): VisitMessage {
  return (bytes, at, end) => {
    view.decode(bytes, at, end);
    visit(view);
  };
}

/** A GET counts its own reference to the entry: take it off, so that the entry reads as in a dump. */
export function withoutOwnReference(view: View): void {
  const at = view.offset(S.use);
  if (at !== 0) putBe32(view.bytes, at, view.be32(S.use) - 1);
}

/** Waits for all, so that no buffer is in use any more, then throws the first failure. */
async function allSettledFirstError(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
