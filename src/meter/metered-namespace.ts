// MeteredNamespace: one network namespace of a meter: its events and lists, and what the kernel says of the table as a whole.

import { S } from '../ctnetlink/fields.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { CPU_STATISTICS, statisticMember } from '../ctnetlink/statistics.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { asksKernel, type EventWatch, enteringCommand, isTracking, readIn, type Session, type Signal } from '../library/index.js';
import { BLIND, READ, SEEN } from './flow-columns.js';
import type { FlowStore } from './flow-store.js';
import { Forecast } from './forecast.js';
import { KERNEL_COUNTS, type KernelCount, type TrackingSysctls } from './meter-sample.js';
import { type Counts, MeteredTable } from './metered-table.js';
import { type Notice, noticesOf } from './notices.js';
import { processorTime } from './processor-time.js';

/** Milliseconds between two looks at sysctls and rules. */
const CIRCUMSTANCES_KEPT = 30_000;

/** Milliseconds of events that are applied before a flow is measured. */
const AT_ONCE = 2;

const STATISTICS = CPU_STATISTICS.map(statisticMember);
/** Where the kernel has what is counted. */
const COUNT_SLOTS = KERNEL_COUNTS.map((name) => STATISTICS.indexOf(name));

export class MeteredNamespace {
  readonly table: MeteredTable;
  readonly forecast = new Forecast();
  entries = 0;
  maxEntries: number | undefined;
  lost = 0;
  repaired = 0;
  /** Lists that put right what events had missed; lists at the pace of the meter, and their processor time in milliseconds. */
  repairs = 0;
  sweeps = 0;
  sweepCost = 0;
  /** When the last sweep began, and how long it took, in milliseconds of the meter's clock. */
  sweptAt = Number.NEGATIVE_INFINITY;
  sweepTime = 0;
  /** Bytes and packets per second between the last two lists; `undefined` before the second. */
  rate: { readonly original: number; readonly reply: number; readonly packets: number } | undefined;
  failure: unknown;
  sysctls: TrackingSysctls = { acct: undefined, events: undefined, timestamp: undefined };
  readonly kernel = Object.fromEntries(KERNEL_COUNTS.map((name) => [name, 0])) as Record<KernelCount, number>;
  /** Drops at the sample before. */
  #dropped = 0;
  #kernelCpus: Uint32Array[] = [];
  #tracking: boolean | undefined;
  #enter = '';
  #lookedAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** When the first list began, and what had been counted when the last one ended: bytes there and back, packets. */
  #startedAt = 0;
  #counted: readonly [number, number, number] = [0, 0, 0];
  readonly #session: Session;
  readonly #store: FlowStore;
  readonly #watch: EventWatch;
  readonly #answer = createFlowView();

  constructor(name: string, session: Session, store: FlowStore, filter: FlowFilter, signal: Signal | undefined) {
    this.#session = session;
    this.#store = store;
    const index = store.indexOf(name);
    this.table = new MeteredTable(name, index, store.columns, store.groups, () => this.#watch.known);
    this.#watch = session.watch(
      { signal },
      { table: 'conntrack', filter, initial: true, resync: true, onlyKnown: true, follower: this.table, leavesApart: true },
    );
    store.tables[index] = this.table;
  }

  get name(): string {
    return this.table.name;
  }

  get session(): Session {
    return this.#session;
  }

  /** Settles with the first list. `failed` hears of the end of the watch, if it comes by itself. */
  start(failed: (reason: unknown) => void): Promise<void> {
    this.#startedAt = this.#store.now;
    return new Promise((resolve, reject) => {
      this.#watch.start({
        beginBatch: () => this.table.arrived(this.#store.now),
        event: () => {},
        ready: () => {
          this.table.beginCounting();
          const { bytesOriginal, bytesReply, packetsOriginal, packetsReply } = this.counts;
          this.#counted = [bytesOriginal, bytesReply, packetsOriginal + packetsReply];
          resolve();
        },
        lost: () => this.lost++,
        repaired: (shown) => {
          this.repairs++;
          this.repaired += shown;
        },
        failed: (reason) => {
          this.failure = reason;
          failed(reason);
          reject(reason);
        },
      });
    });
  }

  /** Lists the table. */
  async sweep(): Promise<void> {
    const { now } = this.#store;
    const before = Number.isFinite(this.sweptAt) ? this.sweptAt : this.#startedAt;
    this.sweptAt = now;
    this.table.arrived(now);
    this.table.beginList();
    const spent = processorTime();
    await this.#watch.sweep();
    this.sweeps++;
    this.sweepCost += processorTime() - spent;
    this.sweepTime = this.#store.now - now;
    const { bytesOriginal, bytesReply, packetsOriginal, packetsReply } = this.counts;
    const packets = packetsOriginal + packetsReply;
    const seconds = (now - before) / 1000;
    const [lastOriginal, lastReply, lastPackets] = this.#counted;
    this.#counted = [bytesOriginal, bytesReply, packets];
    // Between lists, however late this one was, and whatever other namespaces do meanwhile.
    this.rate = {
      original: (bytesOriginal - lastOriginal) / seconds,
      reply: (bytesReply - lastReply) / seconds,
      packets: (packets - lastPackets) / seconds,
    };
  }

  /** Asks the kernel for the counters of one flow, whose message `view` has. @throws KernelError, ENOENT when it has ended */
  measure(slot: number, view: View): void {
    const id = view.be32(S.id);
    const { columns } = this.#store;
    const number = columns.serial[slot];
    this.#session.table.getAgain(view, this.#answer, (now) => {
      if (now.be32(S.id) !== id) return;
      // It may be another flow with the same tuple and id; then an event has told that this one ended. In a flood of events, this can wait.
      if (!this.#watch.drainFor(AT_ONCE)) return;
      if (columns.record[slot] === 0 || columns.serial[slot] !== number) return;
      this.table.arrived(this.#store.now);
      this.table.measure(slot, now);
    });
  }

  /** Asks the kernel for what belongs to the table as a whole. */
  async look(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      if (!this.#closed) throw error;
    }
  }

  async #look(): Promise<void> {
    const { entries, maxEntries } = this.#session.table.count();
    this.entries = entries;
    this.maxEntries = maxEntries;
    this.forecast.add(this.#store.now / 1000, entries);
    await this.#session.table.scanStatistics((view) => {
      const cpu = view.resourceId;
      const last = this.#kernelCpus[cpu];
      const next = Uint32Array.from(COUNT_SLOTS, (slot) => view.be32(slot));
      // 32-bit counters that start again at 0; what was there before the meter does not count.
      if (last) for (const [n, name] of KERNEL_COUNTS.entries()) this.kernel[name] += (next[n]! - last[n]!) >>> 0;
      this.#kernelCpus[cpu] = next;
    });
    if (this.#store.now - this.#lookedAt < CIRCUMSTANCES_KEPT) return;
    this.#lookedAt = this.#store.now;
    const { namespace, transport } = this.#session.table.place;
    const sysctl = (name: string) => {
      // With a substitute for the kernel, those of this system say nothing.
      const text = asksKernel(transport) ? readIn(namespace, `/proc/sys/net/netfilter/nf_conntrack_${name}`) : undefined;
      return text === undefined ? undefined : Number(text);
    };
    this.sysctls = { acct: sysctl('acct'), events: sysctl('events'), timestamp: sysctl('timestamp') };
    this.#enter = enteringCommand(namespace);
    this.#tracking = await isTracking(this.#session.table);
  }

  /** What one should know about the numbers; once for each sample. */
  notices(interval: number, pace: number): Notice[] {
    const { columns } = this.#store;
    let flows = 0;
    let read = 0;
    let blank = 0;
    let blind = 0;
    for (let slot = 1; slot < columns.end; slot++) {
      if (columns.record[slot] === 0 || columns.table[slot] !== this.table.index) continue;
      flows++;
      const flags = columns.flags[slot]!;
      if (flags & READ) read++;
      else if ((flags & SEEN) === 0) blank++;
      if (flags & BLIND) blind++;
    }
    const dropped = this.kernel.drop + this.kernel.earlyDrop;
    const since = dropped - this.#dropped;
    this.#dropped = dropped;
    const { entries, maxEntries, lost, repaired } = this;
    const rest = { tracking: this.#tracking, flows, read, blank, blind, entries, maxEntries, dropped: since, lost, repaired };
    const notices = noticesOf({ ...this.sysctls, ...rest, interval, pace, enter: this.#enter });
    return this.#store.tables.length > 1 ? notices.map((notice) => ({ ...notice, netns: this.name })) : notices;
  }

  /** Sums since the meter was opened. */
  get counts(): Readonly<Counts> {
    return this.table.counts;
  }

  /** Ends the watch; its flows are no longer in the columns. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#watch.close();
    if (this.#store.tables[this.table.index] !== this.table) return;
    const { columns } = this.#store;
    for (let slot = 1; slot < columns.end; slot++)
      if (columns.record[slot] !== 0 && columns.table[slot] === this.table.index) columns.release(slot);
    this.#store.tables[this.table.index] = undefined;
  }
}
