// Selections: which flows match a filter, with their totals and orders, worked out when somebody asks and kept for the same sample. Between
// samples they age for a second at most.

import { compileFilter } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { createFlowView } from '../ctnetlink/view.js';
import { type FilterInput, readFilter, TimeSlice } from '../library/index.js';
import { sortFlows } from './flow-order.js';
import type { FlowStore } from './flow-store.js';
import { GroupSums } from './group-sums.js';
import type { GroupTable } from './group-table.js';
import type { FlowSort } from './meter-names.js';

/** Filters whose results are kept. */
const MOST = 16;
/** Sums of groupings over selections that are kept: each may be large. */
const MOST_SUMS = 4;
/** Milliseconds for which a result is good within a sample. */
const FRESH = 1000;

/** The flows of a filter at one time. */
export interface Selection {
  /** Canonical text; '' for all flows. */
  readonly filter: string;
  readonly slots: Int32Array;
  /** Slots that have another flow now had theirs before this number (`FlowColumns.isStill`). */
  readonly before: number;
  /** One group: all of them. */
  readonly totals: GroupSums;
  readonly orders: Map<string, Promise<Int32Array>>;
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

interface Kept {
  readonly sample: number;
  readonly at: number;
  readonly selection: Promise<Selection>;
}

interface KeptSums {
  readonly selection: Selection;
  readonly table: GroupTable;
  readonly generation: number;
  readonly sums: Promise<GroupSums>;
}

export class Selections {
  readonly #store: FlowStore;
  readonly #kept = new Map<string, Kept>();
  /** The newest first. */
  #sums: readonly KeptSums[] = [];

  constructor(store: FlowStore) {
    this.#store = store;
  }

  /** The flows that match, of one table or of all, as of sample number `sample`. @throws ValueError, FilterError */
  async get(filter: FilterInput | undefined, sample: number, table?: number): Promise<Selection> {
    const wanted = readFilter(filter ?? {});
    const text = filter === undefined ? '' : formatFlowFilter(wanted);
    const { now } = this.#store;
    const name = table === undefined ? text : `${table} ${text}`;
    const kept = this.#kept.get(name);
    if (kept && kept.sample === sample && now - kept.at < FRESH) return kept.selection;
    const selection = this.#select(text, wanted, table);
    this.#kept.delete(name);
    this.#kept.set(name, { sample, at: now, selection });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(oldest);
    }
    return selection;
  }

  /** The slots of a selection in an order. */
  order(selection: Selection, sort: FlowSort, reverse: boolean): Promise<Int32Array> {
    const name = `${sort} ${reverse}`;
    let order = selection.orders.get(name);
    if (!order) {
      order = sortFlows(this.#store, selection.slots, sort, reverse, new TimeSlice());
      selection.orders.set(name, order);
    }
    return order;
  }

  /** The sums of the groups of a grouping over a selection: many who look at the same share them. */
  sums(selection: Selection, table: GroupTable): Promise<GroupSums> {
    const { generation } = table;
    const kept = this.#sums.find((one) => one.selection === selection && one.table === table && one.generation === generation);
    if (kept) return kept.sums;
    const sums = sumGroups(this.#store, table, selection);
    this.#sums = [{ selection, table, generation, sums }, ...this.#sums].slice(0, MOST_SUMS);
    return sums;
  }

  async #select(text: string, filter: FlowFilter, table: number | undefined): Promise<Selection> {
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
    return { filter: text, slots: slots.subarray(0, count), before, totals, orders: new Map() };
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
