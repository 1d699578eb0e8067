// Selections: which flows match a filter, with their totals and orders. They are worked out when somebody asks, kept for the same sample,
// and made anew with the next one as long as somebody asks: so many questions cost as little as one, and none waits for a new sample.

import { compileFilter } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { createFlowView } from '../ctnetlink/view.js';
import { type FilterInput, readFilter, TimeSlice } from '../library/index.js';
import { sortFlows } from './flow-order.js';
import type { FlowStore } from './flow-store.js';
import { MOST_GROUPS } from './group-index.js';
import { GroupSums } from './group-sums.js';
import type { GroupTable } from './group-table.js';
import type { FlowSort } from './meter-names.js';

/** Filters whose results are kept, of a sample. */
const MOST = 16;
/** Rows of an order that are made at least. */
const LEAST_ROWS = 1000;
/** Sums of groupings over selections that are kept: no more, and of no more groups together. */
const MOST_SUMS = 16;
const MOST_SUMMED = 2 * MOST_GROUPS;
/**
 * Within a sample, a result is good for so many milliseconds, or for so many times as long as it took to make: answers to the same
 * question cost half a percent of a processor at most.
 */
const FRESH = 1000;
const TIMES_ITS_COST = 200;

/** The flows of a filter at one time. */
export interface Selection {
  /** The number of the sample. */
  readonly sample: number;
  readonly slots: Int32Array;
  /** Slots that have another flow now had theirs before this number (`FlowColumns.isStill`). */
  readonly before: number;
  /** One group: all of them. */
  readonly totals: GroupSums;
  readonly orders: Map<string, KeptOrder>;
}

interface KeptOrder {
  readonly sort: FlowSort;
  readonly reverse: boolean;
  /** So many of its rows are wanted, and are in their order. */
  readonly rows: number;
  readonly order: Promise<Int32Array>;
  /** Somebody has asked for it; else it was only made anew. */
  used: boolean;
}

/** Goes through all flows of a selection. */
async function sumGroups(store: FlowStore, table: GroupTable, { slots, before }: Selection): Promise<GroupSums> {
  const { columns } = store;
  const slice = new TimeSlice();
  for (;;) {
    const { generation } = table;
    const sums = new GroupSums(table.end);
    for (let from = 0; from < slots.length && generation === table.generation; from += AT_ONCE) {
      const end = Math.min(from + AT_ONCE, slots.length);
      const { column } = table;
      for (let n = from; n < end; n++) {
        const slot = slots[n]!;
        const group = column[slot]!;
        if (columns.isStill(slot, before) && group < sums.flows.length) sums.add(group, columns, slot);
      }
      const pause = slice.pause();
      if (pause) await pause;
    }
    // Otherwise groups have got new numbers meanwhile.
    if (generation === table.generation) return sums;
  }
}

/** Flows between two looks at the clock. */
const AT_ONCE = 2048;

/** Which flows are wanted. */
interface Question {
  /** The filter in canonical form; '' for all flows. */
  readonly text: string;
  readonly wanted: FlowFilter;
  /** Of one table, or of all. */
  readonly table: number | undefined;
}

interface Kept {
  readonly question: Question;
  readonly sample: number;
  readonly selection: Promise<Selection>;
  /** Until when it is good within its sample. */
  until: number;
  used: boolean;
}

interface KeptSums {
  readonly selection: Selection;
  readonly table: GroupTable;
  readonly generation: number;
  readonly sums: Promise<GroupSums>;
  readonly size: number;
  used: boolean;
}

export class Selections {
  readonly #store: FlowStore;
  /** By sample and question. */
  readonly #kept = new Map<string, Kept>();
  /** The newest first. */
  #sums: readonly KeptSums[] = [];

  constructor(store: FlowStore) {
    this.#store = store;
  }

  /** The flows that match, of one table or of all, as of sample number `sample`. @throws ValueError, FilterError */
  async get(filter: FilterInput | undefined, sample: number, table?: number): Promise<Selection> {
    const wanted = readFilter(filter ?? {});
    const kept = this.#keep({ text: filter === undefined ? '' : formatFlowFilter(wanted), wanted, table }, sample);
    kept.used = true;
    return kept.selection;
  }

  /** All flows, for what is made with each sample. */
  all(sample: number): Promise<Selection> {
    return this.#keep({ text: '', wanted: readFilter({}), table: undefined }, sample).selection;
  }

  /** The slots of a selection in an order: all, or at least the first `rows`. */
  order(selection: Selection, sort: FlowSort, reverse: boolean, rows = Number.POSITIVE_INFINITY): Promise<Int32Array> {
    const kept = this.#orderOf(selection, sort, reverse, rows);
    kept.used = true;
    return kept.order;
  }

  /** The sums of the groups of a grouping over a selection: many who look at the same share them. */
  sums(selection: Selection, table: GroupTable): Promise<GroupSums> {
    const kept = this.#sumsOf(selection, table);
    kept.used = true;
    return kept.sums;
  }

  /** Makes for the next sample what somebody has asked for since the last one. Until that sample is out, answers are of the last one. */
  async renew(sample: number): Promise<void> {
    for (const { used, question, selection } of [...this.#kept.values()]) {
      if (!used) continue;
      const [old, next] = [await selection, await this.#keep(question, sample).selection];
      for (const order of old.orders.values())
        if (order.used) await this.#orderOf(next, order.sort, order.reverse, order.rows).order;
      for (const one of this.#sums)
        if (one.used && one.selection === old && this.#store.groups.includes(one.table)) await this.#sumsOf(next, one.table).sums;
    }
  }

  /** Sample number `sample` is out: others are of no use any more. */
  retire(sample: number): void {
    for (const [name, kept] of this.#kept) if (kept.sample !== sample) this.#kept.delete(name);
    this.#sums = this.#sums.filter(({ selection }) => selection.sample === sample);
  }

  #keep(question: Question, sample: number): Kept {
    const { now } = this.#store;
    const { table, text } = question;
    const name = `${sample} ${table ?? 'all'} ${text}`;
    const old = this.#kept.get(name);
    if (old && now < old.until) return old;
    const selection = this.#select(question, sample);
    const kept = { question, sample, selection, until: Number.POSITIVE_INFINITY, used: old?.used ?? false };
    const made = () => {
      kept.until = now + Math.max(FRESH, TIMES_ITS_COST * (this.#store.now - now));
    };
    selection.then(made, made);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    const same = [...this.#kept].filter(([, one]) => one.sample === sample);
    for (const [oldest] of same.slice(0, Math.max(0, same.length - MOST))) this.#kept.delete(oldest);
    return kept;
  }

  #orderOf(selection: Selection, sort: FlowSort, reverse: boolean, wanted: number): KeptOrder {
    const { slots, orders } = selection;
    const name = `${sort} ${reverse}`;
    const kept = orders.get(name);
    if (kept && (wanted <= kept.rows || kept.rows >= slots.length)) return kept;
    // Some more, so that those who scroll a little find them.
    const rows = kept ? slots.length : Math.max(wanted, LEAST_ROWS);
    const order = sortFlows(this.#store, slots, sort, reverse, new TimeSlice(), Math.min(rows, slots.length));
    const made = { sort, reverse, rows, order, used: kept?.used ?? false };
    orders.set(name, made);
    return made;
  }

  #sumsOf(selection: Selection, table: GroupTable): KeptSums {
    const { generation, end: size } = table;
    const kept = this.#sums.find((one) => one.selection === selection && one.table === table && one.generation === generation);
    if (kept) return kept;
    const made = { selection, table, generation, sums: sumGroups(this.#store, table, selection), size, used: false };
    let room = MOST_SUMMED;
    this.#sums = [made, ...this.#sums].slice(0, MOST_SUMS).filter((one) => {
      room -= one.size;
      return one === made || room >= 0;
    });
    return made;
  }

  async #select({ wanted: filter, table }: Question, sample: number): Promise<Selection> {
    const store = this.#store;
    const { columns } = store;
    const wanted = compileFilter(filter, Date.now);
    const view = createFlowView();
    const whole = asksMore(filter);
    const before = columns.nextSerial;
    let slots = new Int32Array(wanted || table !== undefined ? 1024 : columns.count + 1024);
    let count = 0;
    const totals = new GroupSums(1);
    await store.each((slot) => {
      if (table !== undefined && columns.table[slot] !== table) return;
      if (wanted) {
        if (!store.read(slot, view)) return;
        if (!wanted(whole ? store.completed(slot, view) : view)) return;
      }
      if (count === slots.length) {
        const more = new Int32Array(2 * count);
        more.set(slots);
        slots = more;
      }
      slots[count++] = slot;
      totals.add(0, columns, slot);
    }, new TimeSlice());
    return { sample, slots: slots.subarray(0, count), before, totals, orders: new Map() };
  }
}

/** Whether a filter asks for what messages of events lack. */
function asksMore(filter: FlowFilter): boolean {
  switch (filter.kind) {
    case 'all':
    case 'any':
      return filter.of.some(asksMore);
    case 'not':
      return asksMore(filter.of);
    default:
      return ['counter', 'age', 'time', 'has'].includes(filter.kind);
  }
}
