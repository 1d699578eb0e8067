// GroupTable: the groups of one grouping in use. Where each flow belongs stands in a column and is kept up to date by events and lists, as
// is the traffic counted; the sums over the flows that are there are made in one pass, once for each sample.

import type { View } from '../ctnetlink/view.js';
import type { FlowColumns } from './flow-columns.js';
import { GroupHistory } from './group-history.js';
import { GroupIndex, REST } from './group-index.js';
import { type Grouping, KEY_WORDS } from './group-keys.js';

/** Traffic of a group since it was first seen, with that of flows that have ended. */
interface Counted {
  begun: Float64Array;
  ended: Float64Array;
  endedUnreplied: Float64Array;
  bytesOriginal: Float64Array;
  bytesReply: Float64Array;
  packetsOriginal: Float64Array;
  packetsReply: Float64Array;
}

export class GroupTable {
  readonly grouping: Grouping;
  readonly #columns: FlowColumns;
  /** Which of the columns is its own. */
  readonly #place: number;
  readonly #key = new Int32Array(KEY_WORDS);
  readonly history = new GroupHistory();
  /** How often groups have got new numbers. */
  generation = 0;
  #index: GroupIndex;
  #counted: Counted;

  constructor(grouping: Grouping, columns: FlowColumns, place: number) {
    this.grouping = grouping;
    this.#columns = columns;
    this.#place = place;
    this.#index = new GroupIndex(grouping);
    this.#counted = newCounted(this.#index.capacity);
    columns.addGrouping(place);
  }

  /** Numbers of groups are below this. Number 0 is the rest. */
  get end(): number {
    return this.#index.end;
  }

  get counted(): Counted {
    return this.#counted;
  }

  get column(): Int32Array {
    return this.#columns.groups[this.#place]!;
  }

  keyOf(group: number): Int32Array {
    return this.#index.keyOf(group);
  }

  /** Puts a flow where it belongs. */
  join(slot: number, view: View, table: number): void {
    this.grouping.read(view, table, this.#key);
    const group = this.#index.numberOf(this.#key);
    if (this.#index.capacity > this.#counted.begun.length) this.#counted = grown(this.#counted, this.#index.capacity);
    this.column[slot] = group;
  }

  /** A message may say that a flow belongs elsewhere now; what a complete one does not mention is not there. */
  move(slot: number, view: View, table: number, complete: boolean): void {
    const { from } = this.grouping;
    if (from !== undefined && (complete || hasAny(view, from))) this.join(slot, view, table);
  }

  began(slot: number): void {
    this.#counted.begun[this.column[slot]!]!++;
  }

  /** A flow ends; `unreplied`: without a packet back. */
  ended(slot: number, unreplied: boolean): void {
    const group = this.column[slot]!;
    this.#counted.ended[group]!++;
    if (unreplied) this.#counted.endedUnreplied[group]!++;
  }

  /** Traffic of a flow. */
  count(slot: number, bytesOriginal: number, bytesReply: number, packetsOriginal: number, packetsReply: number): void {
    const group = this.column[slot]!;
    const counted = this.#counted;
    counted.bytesOriginal[group]! += bytesOriginal;
    counted.bytesReply[group]! += bytesReply;
    counted.packetsOriginal[group]! += packetsOriginal;
    counted.packetsReply[group]! += packetsReply;
  }

  /** Forgets groups without flows, if they are many; what was counted for them is counted for the rest. */
  compact(): void {
    const { end } = this;
    if (end < MANY_GROUPS) return;
    const has = this.#haveFlows();
    const alive = has.reduce((count, one) => count + one, 0);
    if (2 * alive > end) return;
    const index = new GroupIndex(this.grouping);
    const before = this.#counted;
    const numbers = new Int32Array(end);
    for (let group = 1; group < end; group++) if (has[group] === 1) numbers[group] = index.numberOf(this.#index.keyOf(group));
    const counted = newCounted(index.capacity);
    for (const name of COUNTED) for (let group = 0; group < end; group++) counted[name][numbers[group]!]! += before[name][group]!;
    const { column } = this;
    for (let slot = 0; slot < column.length; slot++) column[slot] = numbers[column[slot]!] ?? REST;
    this.#index = index;
    this.#counted = counted;
    this.history.renumber(numbers);
    this.generation++;
  }

  /** By group, 1 where it has flows now. */
  #haveFlows(): Uint8Array {
    const has = new Uint8Array(this.end);
    const { record, end } = this.#columns;
    const { column } = this;
    for (let slot = 1; slot < end; slot++) if (record[slot] !== 0) has[column[slot]!] = 1;
    return has;
  }

  /** Frees its column. */
  close(): void {
    this.#columns.removeGrouping(this.#place);
  }
}

/** With fewer groups, none is forgotten. */
const MANY_GROUPS = 8192;

const COUNTED = [
  'begun',
  'ended',
  'endedUnreplied',
  'bytesOriginal',
  'bytesReply',
  'packetsOriginal',
  'packetsReply',
] as const satisfies readonly (keyof Counted)[];

function newCounted(capacity: number): Counted {
  return {
    begun: new Float64Array(capacity),
    ended: new Float64Array(capacity),
    endedUnreplied: new Float64Array(capacity),
    bytesOriginal: new Float64Array(capacity),
    bytesReply: new Float64Array(capacity),
    packetsOriginal: new Float64Array(capacity),
    packetsReply: new Float64Array(capacity),
  };
}

function grown(counted: Counted, capacity: number): Counted {
  const larger = newCounted(capacity);
  for (const name of COUNTED) larger[name].set(counted[name]);
  return larger;
}

function hasAny(view: View, slots: readonly number[]): boolean {
  for (const slot of slots) if (view.has(slot)) return true;
  return false;
}
