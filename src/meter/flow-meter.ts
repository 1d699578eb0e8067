// FlowMeter: who talks, how fast, and who fills the table. It lists the table at a pace that the processor can afford, and hears every
// event in between.

import { isConstant } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { show } from '../ctnetlink/members.js';
import { ClosedError, ValueError } from '../errors.js';
import { type Conntrack, type FilterInput, readFilter, type Signal, sessionOf, TimeSlice } from '../library/index.js';
import { rankGroups, totalsOf } from './flow-groups.js';
import { FlowStore } from './flow-store.js';
import { HeldFlows } from './held-flows.js';
import { MeterPace } from './meter-pace.js';
import {
  checkLabels,
  checkNumber,
  type FlowsAnswer,
  type FlowsQuery,
  type GroupsAnswer,
  type GroupsQuery,
  type MinuteQuery,
  offsetAround,
  readFlowsQuery,
  readGroupsQuery,
  readMinuteQuery,
} from './meter-query.js';
import type { MeterSample, MeterStatus } from './meter-sample.js';
import { type MeteredFlow, rounded } from './metered-flow.js';
import { MeteredNamespace } from './metered-namespace.js';
import { addCounts, noCounts } from './metered-table.js';
import { type MinuteGroups, Minutes } from './minutes.js';
import { type NamespaceTotals, namespaceTotals } from './namespace-totals.js';
import { accountingOf, NO_NAMESPACE, type Notice } from './notices.js';
import { processorTime } from './processor-time.js';
import { countedBy, countFlows, fillOf, namespaceSample, ratesOf, seriesValues } from './sampling.js';
import { Selections } from './selection.js';
import { type MeterSeries, Series } from './series.js';

/** How a meter is opened. */
export interface MeterOptions {
  /** The flows that are metered; only what never changes in a flow. The kernel's part of it makes lists cheaper. Default: all. */
  readonly filter?: FilterInput | undefined;
  /** Milliseconds between lists, if the processor can afford it. Default 2000, at least 500. */
  readonly interval?: number | undefined;
  /** Share of one processor that lists may take, 0 to 1. Default 0.25. */
  readonly share?: number | undefined;
  /** Names of labels, for the keys of groups by label. Without them a key has the bits. */
  readonly labels?: LabelMap | undefined;
  /** Remember who had most in each minute of the last day: `minute`. It takes one more pass over all flows a minute. Default false. */
  readonly minutes?: boolean | undefined;
  /** Ends the meter. */
  readonly signal?: Signal | undefined;
}

const DEFAULT_INTERVAL = 2000;
const LEAST_INTERVAL = 500;
const MOST_INTERVAL = 2 ** 31 - 1;
const DEFAULT_SHARE = 0.25;
const LEAST_SHARE = 0.001;
/** Of several namespaces, each is listed once in so many milliseconds at least. */
const LONGEST = 60_000;
/** Where lists are rarer, in milliseconds, flows that are held are asked for one by one. */
const RARE = 1500;
const HELD_EVERY = 1000;

/** Metered flows of one network namespace, or of several. */
export class FlowMeter implements AsyncIterable<MeterSample>, AsyncDisposable, Disposable {
  readonly #store: FlowStore;
  readonly #namespaces: MeteredNamespace[] = [];
  readonly #selections: Selections;
  readonly #series = new Series();
  readonly #minutes: Minutes | undefined;
  readonly #scope: FlowFilter;
  readonly #signal: Signal | undefined;
  readonly #pace: MeterPace;
  readonly #held: HeldFlows;
  #sample: MeterSample | undefined;
  /** When it was taken, in milliseconds of the meter's clock. */
  #sampledAt = 0;
  #notices: readonly Notice[] = [];
  /** Processor time of this process then. */
  #processorTime = processorTime();
  /** Those that wait for the next sample. */
  readonly #readers = new Set<() => void>();
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What unties the meter from its namespaces and the signal, by name. */
  readonly #ties = new Map<string, () => void>();
  /** What was counted in namespaces that went away. */
  readonly #left = noCounts();
  #failure: { readonly reason: unknown } | undefined;
  #closed = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(
    { filter, interval = DEFAULT_INTERVAL, share = DEFAULT_SHARE, labels, minutes = false, signal }: MeterOptions,
    now: () => number,
  ) {
    this.#scope = readFilter(filter ?? {});
    if (!isConstant(this.#scope))
      throw new ValueError(
        'a meter selects by what never changes in a flow: its filter cannot have mark, status, state, labels or times',
        { hint: 'open it with the rest of the filter, then use flows({ filter }) and groups({ filter })' },
      );
    checkNumber('interval', interval, LEAST_INTERVAL, MOST_INTERVAL);
    checkNumber('share', share, LEAST_SHARE, 1);
    checkLabels(labels);
    const began = now();
    this.#store = new FlowStore(() => now() - began, labels);
    this.#selections = new Selections(this.#store);
    this.#held = new HeldFlows(this.#store);
    this.#pace = new MeterPace(interval, share);
    this.#minutes = minutes ? new Minutes(Date.now() / 1000) : undefined;
    this.#signal = signal;
  }

  /** Settles with the first lists. `now`: milliseconds of a clock that nobody sets. @internal */
  static async open(
    namespaces: Iterable<readonly [string, Conntrack]>,
    options: MeterOptions,
    now = () => performance.now(),
  ): Promise<FlowMeter> {
    const meter = new FlowMeter(options, now);
    try {
      for (const [name, conntrack] of namespaces) await meter.add(name, conntrack);
      await meter.#takeSample();
      meter.#check();
    } catch (error) {
      meter.close();
      throw error;
    }
    meter.#timer = setInterval(() => meter.#measureHeld(), HELD_EVERY);
    meter.#running = meter.#run();
    return meter;
  }

  /** Lists all namespaces now, whatever the pace. For tests. @internal */
  static async sweep(meter: FlowMeter): Promise<void> {
    for (const namespace of [...meter.#namespaces]) await namespace.sweep();
    await meter.#takeSample();
  }

  /** For tests. @internal */
  static storeOf(meter: FlowMeter): FlowStore {
    return meter.#store;
  }

  /** Milliseconds between lists, as asked for. `status` has what they are. */
  get interval(): number {
    return this.#pace.interval;
  }

  set interval(milliseconds: number) {
    checkNumber('interval', milliseconds, LEAST_INTERVAL, MOST_INTERVAL);
    this.#pace.interval = milliseconds;
    this.#wake?.();
  }

  /** The newest sample. */
  get sample(): MeterSample {
    return this.#sample!;
  }

  /** What events say between samples: flows that are metered now, and how many have begun and ended since the meter was opened. */
  get counts(): { readonly flows: number; readonly begun: number; readonly ended: number } {
    const { begun, ended } = countedBy([this.#left, ...this.#namespaces.map(({ counts }) => counts)]);
    return { flows: this.#store.columns.count, begun, ended };
  }

  /** Flows and what was counted of them by protocol, for each namespace. */
  totals(): readonly NamespaceTotals[] {
    return namespaceTotals(this.#namespaces, this.#store.columns);
  }

  /** What the meter can and cannot say now. */
  get status(): MeterStatus {
    const sysctls = this.#namespaces.map((namespace) => namespace.sysctls);
    return {
      accounting: accountingOf(this.#notices, this.#namespaces.length),
      events: sysctls.some(({ events }) => events === 0) ? 'off' : sysctls.some(({ events }) => events === 2) ? 'new' : 'all',
      timestamps: sysctls.every(({ timestamp }) => timestamp === 1),
      interval: this.#pace.now,
      notices: this.#notices,
    };
  }

  /** Why the meter has ended by itself; `undefined` while it runs, and after `close`. */
  get failure(): unknown {
    return this.#failure?.reason;
  }

  /** Adds a namespace; settles with its first list. @throws ValueError for a name that is taken; what `watch` throws */
  async add(name: string, conntrack: Conntrack): Promise<void> {
    this.#check();
    if (this.#ties.has(name)) throw new ValueError(`the meter has a namespace ${show(name)} already`);
    const session = sessionOf(conntrack);
    const namespace = new MeteredNamespace(name, session, this.#store, this.#scope, this.#signal);
    let end: (reason: unknown) => void = () => {};
    const ended = new Promise<never>((_, reject) => {
      end = reject;
    });
    const fail = (reason: unknown) => {
      end(reason);
      this.#fail(reason);
    };
    try {
      session.attach(
        {
          end: fail,
          onEnd: (untie) =>
            this.#ties.set(name, () => {
              untie();
              namespace.close();
              end(this.#failure ? this.#failure.reason : closedError());
            }),
        },
        { signal: this.#signal },
      );
      await Promise.race([namespace.start(fail), ended]);
      this.#namespaces.push(namespace);
    } catch (error) {
      this.remove(name);
      namespace.close();
      throw error;
    }
  }

  /** Leaves a namespace, whose flows are forgotten. Unknown names are ignored. */
  remove(name: string): void {
    this.#ties.get(name)?.();
    this.#ties.delete(name);
    const index = this.#namespaces.findIndex((namespace) => namespace.name === name);
    const [namespace] = index < 0 ? [] : this.#namespaces.splice(index, 1);
    if (namespace) addCounts(this.#left, namespace.counts);
  }

  /** Flows with their rates, the fastest first. @throws ValueError, FilterError, ClosedError */
  async flows(query: FlowsQuery = {}): Promise<FlowsAnswer> {
    const { filter, netns, around, leastRate, sort, reverse, limit, ...rest } = readFlowsQuery(query);
    this.#check();
    const { number: sample, at } = this.sample;
    const selection = await this.#selections.get(filter, sample, this.#tableOf(netns));
    const { columns } = this.#store;
    const isPart = around === undefined && leastRate === 0;
    const all = await this.#selections.order(selection, sort, reverse, isPart ? rest.offset + limit : undefined);
    const order = leastRate > 0 ? all.filter((slot) => columns.averageOf(slot) >= leastRate) : all;
    const matched = isPart ? selection.slots.length : order.length;
    const flows: MeteredFlow[] = [];
    const index = around ? order.indexOf(columns.slotsOf(new Set([around.number])).get(around.number) ?? 0) : -1;
    const offset = offsetAround(index, around?.row, rest.offset, limit, matched);
    for (let n = offset; n < order.length && flows.length < limit; n++) {
      const slot = order[n]!;
      const flow = columns.isStill(slot, selection.before) ? this.#store.flowAt(slot) : undefined;
      if (flow) flows.push(flow);
    }
    return { sample, at, total: columns.count, matched, totals: totalsOf(selection.totals), offset, flows };
  }

  /** The numbers of all flows that match, in their order, for `getMany`. @throws ValueError, FilterError, ClosedError */
  async numbers(query: FlowsQuery = {}): Promise<Uint32Array> {
    const { filter, netns, leastRate, sort, reverse } = readFlowsQuery(query);
    this.#check();
    const selection = await this.#selections.get(filter, this.sample.number, this.#tableOf(netns));
    const { columns } = this.#store;
    const order = await this.#selections.order(selection, sort, reverse);
    const numbers = new Uint32Array(order.length);
    let count = 0;
    for (const slot of order)
      if (columns.isStill(slot, selection.before) && (leastRate === 0 || columns.averageOf(slot) >= leastRate))
        numbers[count++] = columns.serial[slot]!;
    return numbers.subarray(0, count);
  }

  /** Groups of flows, the busiest first. @throws ValueError, FilterError, ClosedError */
  async groups(query: GroupsQuery): Promise<GroupsAnswer> {
    const { by, filter, netns, ...part } = readGroupsQuery(query);
    this.#check();
    const of = this.#tableOf(netns);
    const table = await this.#store.grouping(by, new TimeSlice());
    const { number: sample, at } = this.sample;
    const selection = await this.#selections.get(filter, sample, of);
    const sums = await this.#selections.sums(selection, table);
    const { offset, groups, count, other } = rankGroups(this.#store, sums, table, table, part);
    const totals = totalsOf(sums);
    return { sample, at, total: this.#store.columns.count, matched: totals.flows, totals, offset, groups, count, other };
  }

  /** A flow by its number; `undefined` when it has ended. */
  get(number: number): MeteredFlow | undefined {
    return this.getMany([number])[0];
  }

  /** Flows by their numbers, in this order; `undefined` for those that have ended. */
  getMany(numbers: readonly number[]): (MeteredFlow | undefined)[] {
    const { columns } = this.#store;
    const slots = columns.slotsOf(new Set(numbers));
    return numbers.map((number) => {
      const slot = slots.get(number);
      return slot === undefined ? undefined : this.#store.flowAt(slot);
    });
  }

  /** What the samples of the last so many seconds said, a day at most. @throws ValueError */
  series({ seconds }: { readonly seconds: number }): MeterSeries {
    checkNumber('seconds', seconds, 1, Number.MAX_SAFE_INTEGER);
    return this.#series.last(seconds);
  }

  /**
   * Who had most in the minute of a time, in a meter that was opened with `minutes`. The newest minute is known from its end on.
   * @returns undefined where nothing is known: before the meter was opened, more than a day ago
   * @throws ValueError
   */
  minute(query: MinuteQuery): MinuteGroups | undefined {
    const { at, by, sort, limit } = readMinuteQuery(query);
    return this.#minutes?.at(at, by, sort, limit, this.#store.names);
  }

  /** The flows with these numbers, no more than 256, are read about once a second even if lists are rarer; no others from now on. */
  hold(numbers: Iterable<number>): void {
    this.#held.set(numbers);
  }

  /** Every sample from the next one on; a slow reader gets the newest. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MeterSample, void, undefined> {
    let last = this.sample.number;
    for (;;) {
      while (this.sample.number === last && !this.#closed)
        await new Promise<void>((resolve) => {
          this.#readers.add(resolve);
        });
      if (this.#failure) throw this.#failure.reason;
      if (this.#closed) return;
      const skipped = this.sample.number - last - 1;
      last = this.sample.number;
      yield { ...this.sample, skipped };
    }
  }

  /** Ends the meter. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    for (const untie of this.#ties.values()) untie();
    this.#wake?.();
    this.#wakeReaders();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits for the list in progress, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#running;
  }

  /** The index of the table of a namespace; `undefined` for all. @throws ValueError */
  #tableOf(netns: string | undefined): number | undefined {
    if (netns === undefined) return undefined;
    const index = this.#store.tables.findIndex((table) => table?.name === netns);
    if (index < 0) throw new ValueError(`the meter has no namespace ${show(netns)}`);
    return index;
  }

  /** @throws ClosedError, or why the meter has ended */
  #check(): void {
    if (this.#failure) throw this.#failure.reason;
    if (this.#closed) throw closedError();
  }

  #fail(reason: unknown): void {
    if (this.#closed) return;
    this.#failure = { reason };
    this.close();
  }

  #wakeReaders(): void {
    for (const wake of this.#readers) wake();
    this.#readers.clear();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#untilNextSweep();
        if (this.#closed) return;
        this.#pace.begin();
        await this.#nextNamespace()?.sweep();
        this.#pace.end();
        if (this.#closed) return;
        await this.#takeSample();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits until the pace allows a list; the pace may change meanwhile. */
  async #untilNextSweep(): Promise<void> {
    const left = () => {
      const last =
        this.#namespaces.length === 0 ? this.#sampledAt : Math.max(0, ...this.#namespaces.map(({ sweptAt }) => sweptAt));
      // Several namespaces take turns: each is listed as often as one alone would be, if that can be afforded.
      const turn =
        this.#pace.affordable > this.#pace.interval
          ? this.#pace.affordable
          : this.#pace.interval / Math.max(1, this.#namespaces.length);
      return last + turn - this.#store.now;
    };
    for (let wait = left(); wait > 0 && !this.#closed; wait = left())
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#wake = undefined;
  }

  /** The one that is due: which was not listed for a minute, else the one where most has changed for the longest time. */
  #nextNamespace(): MeteredNamespace | undefined {
    const { now } = this.#store;
    const due = ({ sweptAt, table }: MeteredNamespace) => {
      const age = now - sweptAt;
      return age > LONGEST ? Number.MAX_VALUE : age * (table.movedFlows + 1);
    };
    return [...this.#namespaces].sort((a, b) => due(b) - due(a))[0];
  }

  async #takeSample(): Promise<void> {
    for (const namespace of [...this.#namespaces]) await namespace.look();
    const before = this.#sample;
    const { now } = this.#store;
    const seconds = before ? (now - this.#sampledAt) / 1000 : 0;
    this.#sampledAt = now;
    const time = processorTime();
    const cost = time - this.#processorTime;
    this.#processorTime = time;
    const namespaces = this.#namespaces.map((namespace) => namespaceSample(namespace, now));
    const counted = countedBy([this.#left, ...this.#namespaces.map(({ counts }) => counts)]);
    const number = (before?.number ?? 0) + 1;
    const sample: MeterSample = {
      number,
      at: Date.now(),
      seconds: rounded(seconds, 3),
      ...fillOf(namespaces),
      flows: this.#store.columns.count,
      nextFlow: this.#store.columns.nextSerial,
      ...countFlows(this.#store.columns),
      begun: before ? counted.begun - before.counted.begun : 0,
      ended: before ? counted.ended - before.counted.ended : 0,
      ...ratesOf(this.#namespaces),
      counted,
      cost: before ? rounded(cost / 1000 / seconds, 3) : 0,
      namespaces,
      skipped: 0,
    };
    this.#series.add(sample.at / 1000, seriesValues(sample));
    if (this.#namespaces.length === 0) this.#notices = [NO_NAMESPACE];
    else this.#notices = this.#namespaces.flatMap((namespace) => namespace.notices(this.#pace.interval, this.#pace.now));
    await this.#prepare(number);
    this.#sample = sample;
    this.#selections.retire(number);
    this.#wakeReaders();
    await this.#minutes?.note(sample.at / 1000, this.#store);
  }

  /** Makes what is asked for again and again, keeps the groupings in use small, and their history. */
  async #prepare(sample: number): Promise<void> {
    this.#store.closeUnused();
    for (const table of this.#store.groups) table?.compact();
    await this.#selections.renew(sample);
    for (const table of this.#store.groups) {
      if (!table) continue;
      const sums = await this.#selections.sums(await this.#selections.all(sample), table);
      table.history.add(this.#store.now, sums.rates());
    }
  }

  #measureHeld(): void {
    if (this.#pace.now < RARE) return;
    try {
      this.#held.measure(this.#namespaces);
    } catch (error) {
      this.#fail(error);
    }
  }
}

function closedError(): ClosedError {
  return new ClosedError('this meter is closed');
}
