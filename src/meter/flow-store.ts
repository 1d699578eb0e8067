// FlowStore: all flows of a meter, of one network namespace or several: their columns, the groupings in use, and flows as objects.

import { type Flow, FlowReader } from '../ctnetlink/flow.js';
import { WholeViews } from '../ctnetlink/flow-message.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import type { TimeSlice } from '../library/index.js';
import { BLIND, BORN, FlowColumns, RATED, READ } from './flow-columns.js';
import { type Grouping, type GroupNames, parseGrouping } from './group-keys.js';
import { GroupTable } from './group-table.js';
import { bothWays, type MeteredFlow, rounded } from './metered-flow.js';
import type { MeteredTable } from './metered-table.js';

/** Groupings that are kept up to date at the same time. */
export const MOST_GROUPINGS = 6;
/** Milliseconds without a question, after which a grouping is not kept any longer. */
const GROUPING_KEPT = 60_000;
/** Slots between two looks at the clock. */
const AT_ONCE = 2048;

interface OpenGrouping {
  readonly table: GroupTable;
  ready: Promise<void>;
  usedAt: number;
}

/** A meter keeps only so many groupings, and all are in use. */
export class TooManyGroupingsError extends ValueError {}

export class FlowStore {
  readonly columns = new FlowColumns();
  /** By index, which is given again only to the same name: namespaces that went away leave a hole. */
  readonly tables: (MeteredTable | undefined)[] = [];
  readonly #indexes = new Map<string, number>();
  /** By their place in the columns. */
  readonly groups: (GroupTable | undefined)[] = [];
  readonly #open = new Map<string, OpenGrouping>();
  readonly #now: () => number;
  readonly #reader = new FlowReader();
  readonly #view = createFlowView();
  readonly #whole = new WholeViews();
  readonly #counters = new Float64Array(4);
  readonly #labels: LabelMap | undefined;

  /** `now`: milliseconds of the meter's clock. */
  constructor(now: () => number, labels?: LabelMap) {
    this.#now = now;
    this.#labels = labels;
  }

  get now(): number {
    return this.#now();
  }

  /** The index of the table of a name. */
  indexOf(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    const index = this.tables.push(undefined) - 1;
    this.#indexes.set(name, index);
    return index;
  }

  /** Looks at the message of a flow. @returns false if the slot has none */
  read(slot: number, view: View): boolean {
    const record = this.columns.record[slot]!;
    if (record === 0) return false;
    const table = this.tables[this.columns.table[slot]!];
    return table?.tracker.read(record, view) ?? false;
  }

  /** The message of a slot, which `view` has, with counters and start, which are kept apart from it; valid until the next call. */
  completed(slot: number, view: View): View {
    const { columns } = this;
    const known = (columns.flags[slot]! & READ) !== 0;
    if (known) {
      const counters = this.#counters;
      counters[0] = columns.packetsOriginal[slot]!;
      counters[1] = columns.bytesOriginal[slot]!;
      counters[2] = columns.packetsReply[slot]!;
      counters[3] = columns.bytesReply[slot]!;
    }
    return this.#whole.of(view, known ? this.#counters : undefined, this.#startOf(slot));
  }

  /** Calls `visit` with every slot that has a flow; others have their turn meanwhile. */
  async each(visit: (slot: number) => void, slice: TimeSlice): Promise<void> {
    const { columns } = this;
    for (let from = 1; from < columns.end; from += AT_ONCE) {
      const end = Math.min(from + AT_ONCE, columns.end);
      for (let slot = from; slot < end; slot++) if (columns.record[slot] !== 0) visit(slot);
      const pause = slice.pause();
      if (pause) await pause;
    }
  }

  /** The groups of a grouping, kept up to date from now on as long as somebody asks. @throws ValueError */
  async grouping(name: string, slice: TimeSlice): Promise<GroupTable> {
    const grouping = parseGrouping(name);
    let open = this.#open.get(grouping.name);
    if (!open) {
      this.closeUnused();
      if (this.#open.size >= MOST_GROUPINGS)
        throw new TooManyGroupingsError(`the meter keeps ${MOST_GROUPINGS} groupings at a time, and all are in use`, {
          hint: `a grouping is in use until ${GROUPING_KEPT / 1000} s after the last question`,
        });
      open = this.#openGrouping(grouping, slice);
    }
    open.usedAt = this.now;
    await open.ready;
    return open.table;
  }

  /** Forgets groupings that nobody has asked for lately. */
  closeUnused(): void {
    for (const [name, { table, usedAt }] of this.#open) {
      if (this.now - usedAt < GROUPING_KEPT) continue;
      this.#open.delete(name);
      this.groups[this.groups.indexOf(table)] = undefined;
      table.close();
    }
  }

  get names(): GroupNames {
    return { tables: this.tables.map((table) => table?.name ?? '-'), labels: this.#labels };
  }

  /** The flow in a slot, as an object. @returns undefined if there is none */
  flowAt(slot: number): MeteredFlow | undefined {
    const view = this.#view;
    if (!this.read(slot, view)) return undefined;
    const { columns } = this;
    const flags = columns.flags[slot]!;
    const flow = this.#flowOf(slot, view);
    const table = this.tables[columns.table[slot]!]!;
    const start = this.#startOf(slot);
    const age = start !== 0n ? Number(BigInt(Date.now()) * 1_000_000n - start) / 1e9 : Date.now() / 1000 - columns.born[slot]!;
    const known = (flags & READ) !== 0;
    const rated = (flags & RATED) !== 0 && (flags & BLIND) === 0;
    return {
      number: columns.serial[slot]!,
      flow,
      ...(this.tables.length > 1 ? { netns: table.name } : {}),
      ...(rated
        ? {
            rate: bothWays(columns.rateOriginal[slot]!, columns.rateReply[slot]!),
            average: bothWays(columns.averageOriginal[slot]!, columns.averageReply[slot]!),
            packetRate: rounded(columns.packetRate[slot]!, 1),
          }
        : {}),
      age: rounded(Math.max(0, age), 1),
      ...(flags & BORN ? {} : { ageAtLeast: true }),
      ...(known ? { idle: rounded(((this.now - columns.moved[slot]!) >>> 0) / 1000, 1) } : {}),
      counters: !known ? 'none' : flags & BLIND ? 'offloaded' : 'kernel',
    };
  }

  #startOf(slot: number): bigint {
    const { record, table } = this.columns;
    return this.tables[table[slot]!]!.tracker.startOf(record[slot]!);
  }

  /** The flow of a slot with the newest counters known. `view` has its message. */
  #flowOf(slot: number, view: View): Flow {
    const flow = this.#reader.read(view);
    completeFlow(flow, this.columns, slot, this.#startOf(slot));
    return flow;
  }

  #openGrouping(grouping: Grouping, slice: TimeSlice): OpenGrouping {
    const free = this.groups.indexOf(undefined);
    const place = free < 0 ? this.groups.length : free;
    const table = new GroupTable(grouping, this.columns, place);
    // From here on events and lists put flows into it; those that are there are added now.
    this.groups[place] = table;
    const view = createFlowView();
    const before = this.columns.nextSerial;
    const join = (slot: number) => {
      if (this.columns.serial[slot]! < before && this.read(slot, view)) table.join(slot, view, this.columns.table[slot]!);
    };
    const open = { table, ready: this.each(join, slice), usedAt: this.now };
    this.#open.set(grouping.name, open);
    return open;
  }
}

/** Messages are kept without counters and the start. */
function completeFlow(flow: Flow, columns: FlowColumns, slot: number, start: bigint): void {
  if (columns.flags[slot]! & READ) {
    const both = flow as { -readonly [K in 'original' | 'reply']: { bytes?: bigint; packets?: bigint } };
    both.original.bytes = BigInt(columns.bytesOriginal[slot]!);
    both.original.packets = BigInt(columns.packetsOriginal[slot]!);
    both.reply.bytes = BigInt(columns.bytesReply[slot]!);
    both.reply.packets = BigInt(columns.packetsReply[slot]!);
  }
  if (start !== 0n) (flow as { timestamp?: Flow['timestamp'] }).timestamp = { ...flow.timestamp, start };
}
