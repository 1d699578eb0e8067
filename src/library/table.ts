// ConntrackTable: the connection tracking table of one network namespace, as borrowed views. The command and the public API use it.

import { type FlowKey, putFlowKey, putKeyOf, putTuple, type TupleSpec } from '../ctnetlink/encode.js';
import { type ExpectationSpec, putExpectation } from '../ctnetlink/expectation-spec.js';
import { S } from '../ctnetlink/fields.js';
import { compileFilter } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { exactKey } from '../ctnetlink/filter/kernel-plan.js';
import type { Family } from '../ctnetlink/flow.js';
import { changesFlow, type FlowChange, hasLabels } from '../ctnetlink/flow-change.js';
import { type FlowSpec, putFlow } from '../ctnetlink/flow-spec.js';
import { CPU_STATISTICS, createStatisticsView, EXPECTATION_STATISTICS, GLOBAL_STATISTICS } from '../ctnetlink/statistics.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import { CTA_EXPECT_TUPLE, CTA_ID } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createExpectationView, createFlowView, type View } from '../ctnetlink/view.js';
import { isMissing, type KernelError, NoAnswerError } from '../errors.js';
import type { VisitMessage } from '../wire/answers.js';
import { putBe32 } from '../wire/bytes.js';
import type { MessageWriter } from '../wire/message.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { planDumps } from './dump-plan.js';
import { type ChangeResult, emptyResult, flowDeleter, flowUpdater, updateKeys } from './flow-changes.js';
import { dumpFlows, dumpPlanned, type ScanOptions, type ScanVisitor, sampleTable, tableRequests } from './flow-dumps.js';
import { createEncoded, createPlaced, noLabelRoom } from './load/create-flows.js';
import type { EncodedFlows, EncodedPlace } from './load/encoded-flows.js';
import {
  CT_DELETE,
  CT_GET,
  CT_GET_STATS,
  CT_GET_STATS_CPU,
  CT_NEW,
  EXP_DELETE,
  EXP_GET,
  EXP_GET_STATS_CPU,
  EXP_NEW,
} from './requests.js';
import { type ConntrackOptions, type SocketPlace, SocketPool } from './socket-pool.js';

/** How to run a change of many flows. */
export interface ChangeOptions
  extends Pick<ScanVisitor, 'beginBatch' | 'pause'>,
    Pick<ScanOptions, 'background' | 'processors' | 'severalDumpsFrom'> {}

/** Entries in the table, and how many this network namespace may have. */
export interface TableCount {
  readonly entries: number;
  /** Absent before Linux 5.11. */
  readonly maxEntries: number | undefined;
}

/** The tracking table of one network namespace. Needs CAP_NET_ADMIN there. */
export class ConntrackTable {
  readonly #sockets: SocketPool;
  /** What counting looks through: agents are asked often. */
  #count: View | undefined;

  private constructor(sockets: SocketPool) {
    this.#sockets = sockets;
  }

  /** Opens the table. @throws SystemError, PlatformError, NamespaceError */
  static open(options: ConntrackOptions = {}): ConntrackTable {
    return new ConntrackTable(SocketPool.open(options));
  }

  /**
   * Calls `visitor.entry` for each entry that matches the filter. The kernel filters what it can, and each view is checked again. The
   * table is not frozen meanwhile: entries that exist throughout appear once, others may or may not appear.
   */
  async scan(filter: FlowFilter, visitor: ScanVisitor, options: ScanOptions = {}): Promise<void> {
    const { list = 'conntrack', zero = false, background = false } = options;
    const asked = await tableRequests(filter, zero, this.#sockets.place.transport);
    if (!asked) return; // it wants nothing
    const { requests, trusted } = asked;
    const { common } = requests;
    const { family } = common;
    if (list !== 'conntrack')
      return dumpFlows(this.#sockets, { family, atoms: common }, filter, visitor, options, { trusted: undefined });
    const key = zero ? undefined : exactKey(filter);
    if (key && family !== AF_UNSPEC) {
      await visitor.beginBatch?.();
      if (this.#visitEntry({ family, original: key.tuple, zone: key.zone }, filter, visitor) || !key.orElsewhere) return;
    }
    const purpose = { requests, trusted, zero, background, severalFrom: options.severalDumpsFrom };
    const plan = await planDumps(purpose, {
      entries: () => this.count().entries,
      processors: async () => options.processors ?? (await import('../wire/processors.js')).processors(),
      sample: () => sampleTable(this.#sockets, purpose),
    });
    await dumpPlanned(this.#sockets, plan, filter, trusted, visitor, options);
  }

  /** As `scan`, for the one entry with this key. @returns whether it exists and matches; an empty list is not an error */
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
   * Reads one entry. The kernel finds it by either of its tuples; the filter decides whether it is the right one. The answer's reference
   * count includes this request.
   * @returns whether an entry was found and wanted
   * @throws KernelError, with `code` ENOENT if there is none
   */
  get(key: FlowKey, filter: FlowFilter, visit: (view: View) => void): boolean {
    const wanted = compileFilter(filter, Date.now);
    const view = createFlowView();
    let found = false;
    const build = (message: MessageWriter) => putFlowKey(message, key);
    this.#sockets.transact(CT_GET, key.family, build, (bytes, at, end) => {
      view.decode(bytes, at, end);
      if (wanted && !wanted(view)) return;
      found = true;
      visit(view);
    });
    return found;
  }

  /**
   * Reads an entry again, of which a message is known; `now` looks at the answer. The kernel may have another one with this tuple by now.
   * @returns whether there is one
   * @throws as `get`
   */
  getAgain(known: View, now: View, visit: (view: View) => void): boolean {
    let found = false;
    const build = (message: MessageWriter) => putKeyOf(message, known);
    this.#sockets.transact(CT_GET, known.family, build, (bytes, at, end) => {
      now.decode(bytes, at, end);
      found = true;
      visit(now);
    });
    return found;
  }

  /** How many entries the table has, all families and zones. Source: GET_STATS. */
  count(): TableCount {
    this.#count ??= createStatisticsView(GLOBAL_STATISTICS);
    const view = this.#count;
    let count: TableCount | undefined;
    const visit = decodeThen(view, () => {
      // Read at once: the acknowledgement may arrive later and overwrite these bytes.
      count = { entries: view.be32(0), maxEntries: view.has(1) ? view.be32(1) : undefined };
    });
    this.#sockets.transact(CT_GET_STATS, AF_UNSPEC, undefined, visit);
    if (!count) throw new NoAnswerError('CT_GET_STATS: the kernel gave no answer');
    return count;
  }

  /** Calls `visit` with the counters of each CPU; slot n is name n of CPU_STATISTICS. */
  async scanStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(CPU_STATISTICS);
    await this.#sockets.dump(CT_GET_STATS_CPU, AF_UNSPEC, { message: decodeThen(view, visit) });
  }

  /** As `scanStatistics`, for expectations; slot n is name n of EXPECTATION_STATISTICS. */
  async scanExpectationStatistics(visit: (view: View) => void): Promise<void> {
    const view = createStatisticsView(EXPECTATION_STATISTICS);
    const message = decodeThen(view, visit);
    await this.#sockets.dump(EXP_GET_STATS_CPU, AF_UNSPEC, { message });
  }

  /** Calls `visitor.entry` for each expectation of a family, AF_UNSPEC for both. */
  async scanExpectations(family: number, visitor: ScanVisitor, background = false): Promise<void> {
    const view = createExpectationView();
    const each = { message: decodeThen(view, visitor.entry), beginBatch: visitor.beginBatch, pause: visitor.pause };
    await this.#sockets.dump(EXP_GET, family, each, background);
  }

  /** Reads the expectation with one tuple. @throws KernelError, with `code` ENOENT if there is none. */
  getExpectation(family: number, tuple: TupleSpec, visit: (view: View) => void): void {
    const view = createExpectationView();
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#sockets.transact(EXP_GET, family, build, decodeThen(view, visit));
  }

  /**
   * Deletes the flows that match the filter. `deleted` gets each as it was listed. A flow is named by tuple, zone and id. A newer one
   * with the same tuple survives only if its id differs, which often it does not (docs/kernel.md 2.1).
   */
  async delete(
    filter: FlowFilter,
    deleted: (view: View) => void,
    { beginBatch, pause, background = false, ...how }: ChangeOptions = {},
  ): Promise<ChangeResult> {
    const result = emptyResult();
    await this.#sockets.with(async (channel) => {
      const deleter = flowDeleter(channel, result, deleted, background);
      const entry = (view: View) => deleter.add(view);
      await this.scan(filter, { entry, beginBatch, pause: () => both(deleter.pause(), pause) }, { ...how, background });
      await deleter.finish();
    });
    return result;
  }

  /**
   * Deletes flows by their keys, a batch in one send, on another thread. `failed` gets each refusal with the flow's index.
   */
  deleteKeys(keys: readonly FlowKey[], failed: (index: number, error: KernelError) => void): Promise<void> {
    return this.#sockets.with((channel) => {
      for (const key of keys)
        channel.addToBatch(CT_DELETE, 0, key.family, (message) => {
          putFlowKey(message, key);
          if (key.id !== undefined) message.be32(CTA_ID, key.id);
        });
      return channel.sendBatch(CT_DELETE, undefined, failed, true);
    });
  }

  /**
   * Updates flows by their keys, no more than a batch of them, on another thread. Each is read first, because the kernel sets status bits
   * and tags as a whole and does not check ids: a flow that has another id now is left alone.
   */
  updateKeys(keys: readonly FlowKey[], changeOf: (index: number) => FlowChange, result: ChangeResult): Promise<void> {
    return this.#sockets.with((channel) => updateKeys(channel, result, keys, changeOf));
  }

  /** Updates the flows that match the filter. `updated` gets each as the kernel has it afterwards. */
  async update(
    filter: FlowFilter,
    change: FlowChange,
    updated: (view: View) => void,
    { beginBatch, pause, background = false, ...how }: ChangeOptions = {},
  ): Promise<ChangeResult> {
    const result = emptyResult();
    await this.#sockets.with(async (channel) => {
      const updater = flowUpdater(channel, result, change, updated, background);
      const entry = (view: View) => {
        if (changesFlow(view, change)) updater.add(view);
        else {
          result.matched++;
          result.unchanged++;
        }
      };
      await this.scan(filter, { entry, beginBatch, pause: () => both(updater.pause(), pause) }, { ...how, background });
      await updater.finish();
    });
    return result;
  }

  /**
   * Creates a flow, or with `mayExist` updates an existing one.
   * @throws KernelError, with `code` EEXIST if it exists, ENOSPC if it is in the table now but lacks its labels
   */
  create(flow: FlowSpec, options: { readonly mayExist?: boolean } = {}): void {
    const flags = NLM_F_CREATE | (options.mayExist ? 0 : NLM_F_EXCL);
    const build = (message: MessageWriter) => putFlow(message, flow);
    this.#sockets.transact(CT_NEW, flow.family, build, undefined, { flags });
    const { labels } = flow;
    if (labels && !this.#isLabelled(flow.family, build, (view) => hasLabels(view, labels, flow.labelsMask))) throw noLabelRoom();
  }

  /**
   * Creates many flows in one send. `failed` gets each refusal with the flow's index; the others are in the table, but those that
   * `unlabelled` gets lack their labels. @returns how many flows existed and got only what existing ones can take
   */
  createEncoded(
    flows: EncodedFlows,
    failed: (index: number, error: KernelError) => void,
    unlabelled: (index: number) => void,
    { background = false }: Pick<ScanOptions, 'background'> = {},
  ): Promise<number> {
    return this.#sockets.with((channel) => createEncoded(channel, flows, failed, unlabelled, background));
  }

  /** As `createEncoded`, of flows out of several batches, no more than a batch of them. `failed` and `unlabelled` get their positions. */
  createPlaced(
    places: readonly EncodedPlace[],
    failed: (position: number, error: KernelError) => void,
    unlabelled: (position: number) => void,
    { background = false }: Pick<ScanOptions, 'background'> = {},
  ): Promise<void> {
    return this.#sockets.with((channel) => createPlaced(channel, places, failed, unlabelled, background));
  }

  /** Reads a flow that was just created, with the same request: a GET uses only its key. A flow that has already gone counts as right. */
  #isLabelled(family: number, build: (message: MessageWriter) => void, labelled: (view: View) => boolean): boolean {
    const view = createFlowView();
    let found = true;
    const visit = decodeThen(view, () => {
      found = labelled(view);
    });
    try {
      this.#sockets.transact(CT_GET, family, build, visit);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return found;
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
    // A version other than 0 means: respect the family.
    const version = family === AF_UNSPEC ? 0 : 1;
    await this.#sockets.with((channel) => channel.transactAsync(CT_DELETE, family, undefined, version));
  }

  /** Creates an expectation. @throws KernelError, with `code` ENOENT if the master does not exist */
  createExpectation(expectation: ExpectationSpec): void {
    const extra = { flags: NLM_F_CREATE | NLM_F_EXCL };
    const build = (message: MessageWriter) => putExpectation(message, expectation);
    this.#sockets.transact(EXP_NEW, expectation.family, build, undefined, extra);
  }

  /** Deletes the expectation with one complete tuple. @throws KernelError, with `code` ENOENT if there is none */
  deleteExpectation(family: number, tuple: TupleSpec): void {
    const build = (message: MessageWriter) => putTuple(message, CTA_EXPECT_TUPLE, tuple);
    this.#sockets.transact(EXP_DELETE, family, build);
  }

  /** Drops all expectations, of both families. */
  flushExpectations(): void {
    this.#sockets.transact(EXP_DELETE, AF_UNSPEC, undefined);
  }

  /** Its namespace, for code that opens its own sockets there. */
  get place(): SocketPlace {
    return this.#sockets.place;
  }

  /** Idempotent. Calls in progress end by themselves, or at their next pause with a ClosedError. */
  close(): void {
    this.#sockets.close();
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
