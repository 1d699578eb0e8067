// Conntrack: the public API, a layer of owned objects above Table.

import { eventGroups, type FlowEvent } from '../ctnetlink/event.js';
import { isConstant } from '../ctnetlink/filter/compile.js';
import { MATCH_ALL, numberIs } from '../ctnetlink/filter/condition.js';
import { requiredProtocol } from '../ctnetlink/filter/kernel-plan.js';
import type { FilterInput, WatchFilter } from '../ctnetlink/filter/object-input.js';
import { type Flow, type FlowField, FlowReader, fieldSet } from '../ctnetlink/flow.js';
import type { FlowChange } from '../ctnetlink/flow-change.js';
import {
  type FlowCopy,
  type FlowKeyInput,
  type FlowUpdate,
  type NewFlow,
  toFlowChange,
  toFlowKey,
  toFlowSpec,
} from '../ctnetlink/new-flow.js';
import { CPU_STATISTICS } from '../ctnetlink/statistics.js';
import { type ConntrackError, isMissing, KernelError, ValueError } from '../errors.js';
import { ENOENT, errnoName, errnoReason } from '../wire/errno.js';
import type { CallOptions, CreateOptions, FamilyOptions, FlowEventsOptions, ListOptions, WatchOptions } from './call-options.js';
import {
  CREATE_OPTIONS,
  checkIterable,
  checkOptions,
  FAMILY_OPTIONS,
  FLOW_EVENT_OPTIONS,
  LIST_OPTIONS,
  OPEN_OPTIONS,
  WATCH_OPTIONS,
} from './check-options.js';
import { type CpuStatistics, toStatistics } from './cpu-statistics.js';
import { EventQueue } from './events/event-queue.js';
import { EventStream } from './events/event-stream.js';
import { LiveFlows, toFlowEvent } from './events/live-flows.js';
import { Expectations } from './expectations.js';
import { readFilter } from './filters.js';
import { countFailure, ERRORS_KEPT, emptyResult } from './flow-changes.js';
import type { AllFlowFields, ListedFlow } from './flow-part.js';
import { withHint } from './hints.js';
import { FlowEncoder } from './load/encoded-flows.js';
import { FlowLoader } from './load/flow-loader.js';
import type { LoadOutcome } from './load/waiting-flows.js';
import { BATCH_SIZE } from './pending-flows.js';
import { CT_NEW } from './requests.js';
import { type CreateResult, type DeleteResult, toDeleteResult, toUpdateResult, type UpdateResult } from './results.js';
import { Listing, Session } from './session.js';
import type { ConntrackOptions } from './socket-pool.js';
import { ConntrackTable, familyNumber, type TableCount, withoutOwnReference } from './table.js';

let readSession: (conntrack: Conntrack) => Session;

/**
 * The connection tracking table of one network namespace. Needs CAP_NET_ADMIN there. Reading leaves the event loop free in parts of a few
 * milliseconds; changes of many flows are sent a hundred at a time, and the kernel makes them on another thread. However large the table,
 * any number of calls can run at the same time.
 *
 * ```ts
 * await using conntrack = await Conntrack.open();
 * for await (const flow of conntrack.list({ protocol: 'tcp', original: { dport: 443 } })) console.log(flow.original.src);
 * ```
 */
export class Conntrack implements AsyncDisposable, Disposable {
  static {
    readSession = (conntrack) => conntrack.#session;
  }

  /** The connections that helpers expect. */
  readonly expectations: Expectations;
  readonly #session: Session;

  private constructor(table: ConntrackTable) {
    this.#session = new Session(table);
    this.expectations = new Expectations(this.#session);
  }

  /**
   * Opens the table.
   * @throws ValueError, SystemError without netlink, PlatformError if native code cannot be loaded, NamespaceError
   */
  static async open(options: ConntrackOptions = {}): Promise<Conntrack> {
    checkOptions(options, OPEN_OPTIONS);
    return new Conntrack(ConntrackTable.open(options));
  }

  /**
   * The flows that match, in no meaningful order; without a filter, all flows. The table is not frozen meanwhile: flows that exist
   * throughout appear once, others may or may not appear. Reading starts with the iteration. Matches `-L`.
   * @throws ValueError at once; KernelError, ClosedError, the signal's reason while iterating
   */
  list<const F extends readonly FlowField[] = AllFlowFields>(
    filter: FilterInput = {},
    options: ListOptions<F> = {},
  ): Listing<ListedFlow<F>> {
    checkOptions(options, LIST_OPTIONS);
    const { table } = this.#session;
    const wanted = readFilter(filter);
    const fields = fieldSet(options.fields);
    const { list = 'conntrack', zero = false } = options;
    return new Listing(() => {
      const reader = new FlowReader();
      return this.#session.iterate(
        (visitor) => table.scan(wanted, visitor, { list, zero, background: true }),
        (view) => reader.read(view, fields) as ListedFlow<F>,
        options,
      );
    });
  }

  /**
   * The flow with this tuple, in either direction; `undefined` if there is none, or only one with another id than `key.id`. A `Flow` is a
   * key, too. Matches `-G`. @throws ValueError, KernelError
   */
  get(key: FlowKeyInput, options: CallOptions = {}): Promise<Flow | undefined> {
    return this.#session.run(options, () => {
      const { id, ...named } = toFlowKey(key);
      let found: Flow | undefined;
      try {
        this.#session.table.get(named, id === undefined ? MATCH_ALL : numberIs('id', id), (view) => {
          withoutOwnReference(view);
          found = new FlowReader().read(view);
        });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      return found;
    });
  }

  /**
   * Creates a flow; with `mayExist`, updates an existing one. Matches `-I`, `-A`.
   * @throws ValueError; KernelError, with `code` EEXIST if it exists, ENOSPC if it is in the table now but lacks its labels
   */
  create(flow: FlowCopy | NewFlow, options: CreateOptions = {}): Promise<void> {
    const work = () => this.#session.table.create(toFlowSpec(flow), { mayExist: options.mayExist ?? false });
    return this.#session.run(options, work, CREATE_OPTIONS);
  }

  /**
   * Creates many flows, a hundred in one send. If some are refused, the others are created anyway. Flows may precede their master.
   * Matches `-R`. @throws ValueError for the first invalid flow, when those before it may be in the table already; KernelError, such as
   * EPERM, if the kernel refuses a whole send
   */
  createMany(
    flows: Iterable<FlowCopy | NewFlow> | AsyncIterable<FlowCopy | NewFlow>,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const work = async (): Promise<CreateResult> => {
      checkIterable(flows, 'flows');
      const { mayExist = false } = options;
      const { pause } = this.#session.patience(options);
      const errors: { readonly index: number; readonly error: ConntrackError }[] = [];
      let given = 0;
      let failed = 0;
      let withoutLabelRoom = 0;
      const outcome: LoadOutcome = {
        failed: (index, error = noMaster()) => {
          failed++;
          if (errors.length < ERRORS_KEPT) errors.push({ index, error: withHint(error) });
        },
        unlabelled: () => withoutLabelRoom++,
      };
      const loader = new FlowLoader(() => this.#session.table, outcome, { background: true, pause });
      const encoder = new FlowEncoder();
      await this.#session.each(flows, options, (flow) => {
        const full = encoder.add(toFlowSpec(flow), mayExist, given);
        given++;
        return full && loader.send(full).then(pause);
      });
      const rest = encoder.finish();
      if (rest) await loader.send(rest);
      await loader.finish();
      const { created, partly } = loader;
      errors.sort((a, b) => a.index - b.index);
      return { given, created, partly, withoutLabelRoom, failed, ...(errors.length > 0 ? { errors } : {}) };
    };
    return this.#session.run(options, work, CREATE_OPTIONS);
  }

  /**
   * Gives new values to every flow that matches. Matches `-U`. The filter decides about each flow as it was listed; if another flow has
   * taken its place meanwhile, that one is left alone. @throws ValueError, KernelError
   */
  update(filter: FilterInput, change: FlowUpdate, options: CallOptions = {}): Promise<UpdateResult> {
    return this.#session.run(options, async () => {
      const wanted = readFilter(filter);
      const protonum = requiredProtocol(wanted);
      const how = { ...this.#session.patience(options), background: true };
      return toUpdateResult(await this.#session.table.update(wanted, toFlowChange(change, protonum), () => {}, how));
    });
  }

  /**
   * Gives new values to flows named one by one, a hundred in one send: flows of a list, or keys. If a key has an `id`, the flow is
   * changed only if it had that id a moment before: the kernel does not check the id of an update, and a newer flow with the same tuple
   * may have the same id. `state` belongs to the protocol of each key. A repeated key is changed twice.
   * @throws ValueError for the first invalid key, when those before it may be changed already; KernelError, such as EPERM, if the kernel
   * refuses a whole send
   */
  updateMany(
    keys: Iterable<FlowKeyInput> | AsyncIterable<FlowKeyInput>,
    change: FlowUpdate,
    options: CallOptions = {},
  ): Promise<UpdateResult> {
    return this.#session.run(options, async () => {
      const changes = new ChangesByProtocol(change);
      const result = emptyResult();
      const read = (key: FlowKeyInput) => {
        const named = toFlowKey(key);
        return { ...named, change: changes.of((named.original ?? named.reply)!.protonum!) };
      };
      await this.#inBatches(keys, options, read, (batch) =>
        this.#session.table.updateKeys(batch, (index) => batch[index]!.change, result),
      );
      return toUpdateResult(result);
    });
  }

  /**
   * Deletes every flow that matches; `{}` is every flow, for which `flush` is faster. A flow is deleted by tuple and id: one that takes
   * its place between the list and the deletion stays if the kernel has given it another id, as it does about half of the time. Matches
   * `-D`. @throws ValueError, KernelError
   */
  delete(filter: FilterInput, options: CallOptions = {}): Promise<DeleteResult> {
    return this.#session.run(options, async () => {
      const how = { ...this.#session.patience(options), background: true };
      return toDeleteResult(await this.#session.table.delete(readFilter(filter), () => {}, how));
    });
  }

  /**
   * Deletes flows named one by one, a hundred in one send: flows of a list, or keys. If a key has an `id`, the flow is deleted only if it
   * has that id. A newer flow with the same tuple may have the same id, so an old key may delete that one.
   * @throws ValueError for the first invalid key, when those before it may be deleted already; KernelError, such as EPERM, if the kernel
   * refuses a whole send
   */
  deleteMany(keys: Iterable<FlowKeyInput> | AsyncIterable<FlowKeyInput>, options: CallOptions = {}): Promise<DeleteResult> {
    return this.#session.run(options, async () => {
      const result = emptyResult();
      await this.#inBatches(keys, options, toFlowKey, async (batch) => {
        let refused = 0;
        await this.#session.table.deleteKeys(batch, (_, error) => {
          refused++;
          countFailure(result, error);
        });
        result.matched += batch.length;
        result.changed += batch.length - refused;
      });
      return toDeleteResult(result);
    });
  }

  /**
   * Events of flows from now on: listening begins inside the call. If sysctl net.netfilter.nf_conntrack_events is 2 (the default of
   * current kernels), flows that began before anybody listened cause no UPDATE or DESTROY events. Matches `-E`.
   * @throws ValueError, SystemError, ClosedError; while iterating, the signal's reason
   */
  events(filter: FilterInput = {}, options: FlowEventsOptions = {}): EventStream<FlowEvent> {
    checkOptions(options, FLOW_EVENT_OPTIONS);
    const { types, initial = false, resync = false, program = false } = options;
    const reader = new FlowReader();
    const programOf = this.#session.programs(program);
    const watch = this.#session.watch(options, {
      table: 'conntrack',
      groups: types && eventGroups(types),
      filter: readFilter(filter),
      receiveBuffer: options.receiveBuffer,
      initial,
      resync,
    });
    const queue = new EventQueue(watch, (view) => toFlowEvent(view, reader, programOf(view)), options);
    this.#session.attach(queue, options);
    return EventStream.of(queue);
  }

  /**
   * A view of the flows that match, kept up to date: a list, then every event, and a comparison with the table after a loss. With sysctl
   * net.netfilter.nf_conntrack_events 2, flows that began while nobody listened end without an event (docs/library.md). Settles when the
   * list is complete. The filter can use only what never changes in a flow; the view's own `list` and `count` also select by mark,
   * status, state and labels.
   * @throws ValueError, SystemError, KernelError, ClosedError, the signal's reason
   */
  async watch(filter: WatchFilter | string = {}, options: WatchOptions = {}): Promise<LiveFlows> {
    checkOptions(options, WATCH_OPTIONS);
    const wanted = readFilter(filter);
    if (!isConstant(wanted))
      throw new ValueError(
        'a view selects by what never changes in a flow: its filter cannot have mark, status, state, labels or times',
        {
          hint: 'watch with the rest of the filter, then use list(filter) and count(filter) of the view',
        },
      );
    const { receiveBuffer } = options;
    const watch = this.#session.watch(options, {
      table: 'conntrack',
      filter: wanted,
      receiveBuffer,
      initial: true,
      resync: true,
      onlyKnown: true,
    });
    return LiveFlows.start(watch, (ending) => this.#session.attach(ending, options));
  }

  /** Empties the table, or drops all flows of one family. Matches `-F`. @throws KernelError */
  flush(options: FamilyOptions = {}): Promise<void> {
    return this.#session.run(options, () => this.#session.table.flush(familyNumber(options.family)), FAMILY_OPTIONS);
  }

  /**
   * The number of flows and their limit, in one request. With a filter, it reads the table and returns how many match, without
   * `maxEntries`. Matches `-C`. @throws ValueError, KernelError
   */
  count(filter?: FilterInput, options: CallOptions = {}): Promise<TableCount> {
    return this.#session.run(options, async () => {
      if (filter === undefined) return this.#session.table.count();
      let entries = 0;
      const visitor = { entry: () => entries++, ...this.#session.patience(options) };
      await this.#session.table.scan(readFilter(filter), visitor, { background: true });
      return { entries, maxEntries: undefined };
    });
  }

  /** Counters of each CPU. Matches `-S`. @throws KernelError */
  statistics(options: CallOptions = {}): Promise<CpuStatistics[]> {
    return this.#session.run(options, async () => {
      const all: CpuStatistics[] = [];
      await this.#session.table.scanStatistics((view) => all.push(toStatistics(view, CPU_STATISTICS)));
      return all;
    });
  }

  /** Closes the table. Idempotent. Calls in progress end with a ClosedError; settles when all of them have. */
  close(): Promise<void> {
    return this.#session.close();
  }

  /** Closes the table without waiting; `await using` waits. */
  [Symbol.dispose](): void {
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Reads items and sends them, a batch at a time. */
  async #inBatches<I, T>(
    items: Iterable<I> | AsyncIterable<I>,
    options: CallOptions,
    read: (item: I) => T,
    send: (batch: readonly T[]) => Promise<void>,
  ): Promise<void> {
    checkIterable(items, 'keys');
    const { pause } = this.#session.patience(options);
    let batch: T[] = [];
    await this.#session.each(items, options, (item) => {
      if (batch.push(read(item)) < BATCH_SIZE) return undefined;
      const full = batch;
      batch = [];
      return send(full).then(pause);
    });
    if (batch.length > 0) await send(batch);
  }
}

/** What a Conntrack is made of, for parts of this package that are built on it. */
export function sessionOf(conntrack: Conntrack): Session {
  return readSession(conntrack);
}

/** The new values for flows of each protocol: the same state name is another number in each. */
class ChangesByProtocol {
  readonly #update: FlowUpdate;
  readonly #byProtocol = new Map<number, FlowChange>();

  /** @throws ValueError at once for values that fit no flow; states and tags are checked when the protocol is known */
  constructor(update: FlowUpdate) {
    this.#update = update;
    if (update?.state === undefined && update?.sctp === undefined) toFlowChange(update, undefined);
  }

  /** @throws ValueError */
  of(protonum: number): FlowChange {
    let change = this.#byProtocol.get(protonum);
    if (!change) {
      change = toFlowChange(this.#update, protonum);
      this.#byProtocol.set(protonum, change);
    }
    return change;
  }
}

/** The kernel's answer for a flow whose master is not in the table. */
function noMaster(): KernelError {
  return new KernelError(CT_NEW.name, ENOENT, errnoName(ENOENT), errnoReason(ENOENT));
}
