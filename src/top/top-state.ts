// What somebody looks at in `conntrack top`, and how: filter, grouping, order, selection, tags. No input and no drawing.

import type { Filter } from '../library/index.js';
import {
  type FlowGroup,
  type FlowSort,
  type FlowsAnswer,
  type GroupingName,
  type GroupSort,
  type GroupsAnswer,
  joinFilters,
  type MeteredFlow,
} from '../meter/index.js';
import { ListView } from './list-view.js';

/** What a list is sorted by. */
export interface Order<S> {
  sort: S;
  reverse: boolean;
}

/** A line that is shown for a while. */
export interface TopMessage {
  readonly text: string;
  readonly kind: 'plain' | 'warning' | 'error';
  /** Milliseconds on the clock of `performance`. */
  readonly until: number;
}

/** A flow that has ended since it was on the screen. */
export interface Ended {
  readonly flow: MeteredFlow;
  /** Its place on the screen. */
  readonly row: number;
  /** Samples that it stays. */
  left: number;
}

/** Samples that an ended flow stays on the screen. */
const ENDED_KEPT = 2;

export class TopState {
  filter = '';
  by: GroupingName | undefined;
  /** The group whose flows are looked at. */
  drilled: FlowGroup | undefined;
  focus: 'flows' | 'groups' = 'flows';
  readonly flowOrder: Order<FlowSort>;
  readonly groupOrder: Order<GroupSort>;
  readonly flowList = new ListView<number>();
  readonly groupList = new ListView<string>();
  /** Flows by number, as they were when they were tagged. */
  readonly tags = new Map<number, MeteredFlow>();
  unit: 'bits' | 'bytes' = 'bits';
  averages = true;
  showEnded = true;
  details = false;
  /** Columns that are left out to see others. */
  hiddenColumns = 0;
  /** Milliseconds of `performance`; the picture stands since then. */
  pausedAt: number | undefined;
  /** Numbers of flows in the order that is held. */
  heldOrder: number[] | undefined;
  find = '';
  message: TopMessage | undefined;
  /** The newest answers of the meter. */
  flows: FlowsAnswer | undefined;
  groups: GroupsAnswer | undefined;
  ended: Ended[] = [];
  #joined: { readonly text: string; readonly group: string; readonly filter: Filter | undefined } | undefined;

  constructor(sort: FlowSort, reverse: boolean) {
    this.flowOrder = { sort, reverse };
    this.groupOrder = { sort: 'flows', reverse: false };
  }

  /** The filter of the list of flows: what was typed, within the group that is looked at. */
  get flowFilter(): Filter | undefined {
    const group = this.by === undefined ? '' : (this.groupOfFlows?.filter ?? '');
    // Reading a long text takes time, and it is asked for again and again.
    if (this.#joined?.text !== this.filter || this.#joined.group !== group)
      this.#joined = { text: this.filter, group, filter: joinFilters([this.filter, group]) };
    return this.#joined.filter;
  }

  /** The group whose flows are shown: the one that was opened, else the selected one. */
  get groupOfFlows(): FlowGroup | undefined {
    return this.drilled ?? this.currentGroup;
  }

  get currentGroup(): FlowGroup | undefined {
    const key = this.groupList.current;
    return key === undefined ? undefined : this.groups?.groups.find((group) => group.key === key);
  }

  get currentFlow(): MeteredFlow | undefined {
    const number = this.flowList.current;
    return this.flows?.flows.find((flow) => flow.number === number);
  }

  /** Takes over an answer about flows; `alive` tells which of the flows that are no longer in it exist. */
  showFlows(answer: FlowsAnswer, isNewSample: boolean, alive: (numbers: readonly number[]) => readonly boolean[]): void {
    const now = new Set(answer.flows.map(({ number }) => number));
    for (const one of isNewSample ? this.ended : []) one.left--;
    this.ended = this.ended.filter(({ left }) => left > 0);
    const before = this.flows?.flows ?? [];
    const missing = before.map((flow, row) => ({ flow, row })).filter(({ flow }) => !now.has(flow.number));
    const lives = alive(missing.map(({ flow }) => flow.number));
    const known = new Set(this.ended.map(({ flow }) => flow.number));
    for (const [n, { flow, row }] of missing.entries())
      if (!lives[n] && !known.has(flow.number)) this.ended.push({ flow, row, left: ENDED_KEPT });
    this.flows = answer;
    this.flowList.show(
      answer.flows.map(({ number }) => number),
      answer.offset,
      answer.matched,
    );
  }

  showGroups(answer: GroupsAnswer): void {
    this.groups = answer;
    this.groupList.show(
      answer.groups.map(({ key }) => key),
      answer.offset,
      answer.count,
    );
  }

  /** Of flows by number, those of the order that is held as they were, then those that are new: the order that is held from now on. */
  keepOrder(numbers: readonly number[]): readonly number[] {
    const now = new Set(numbers);
    const held = (this.heldOrder ?? []).filter((number) => now.has(number));
    for (const number of held) now.delete(number);
    this.heldOrder = [...held, ...now];
    return this.heldOrder;
  }

  /** Shows the flows, groups of them, or other groups, from the beginning. */
  groupBy(by: GroupingName | undefined): void {
    this.by = by;
    this.drilled = undefined;
    this.focus = by === undefined ? 'flows' : 'groups';
    this.groups = undefined;
    this.groupList.reset();
    this.forgetFlows();
  }

  /** The list of flows begins anew: it has other flows from now on. */
  forgetFlows(): void {
    this.flowList.reset();
    this.flows = undefined;
    this.ended = [];
    this.heldOrder = undefined;
  }

  /** The details are open: the next step is what the flow is, in words. */
  get opensExplanation(): boolean {
    return this.focus === 'flows' && this.details;
  }

  /** Opens the selected group, or the details of the selected flow. */
  open(): void {
    if (this.focus === 'flows') {
      this.details = true;
      return;
    }
    this.drilled = this.currentGroup;
    if (!this.drilled) return;
    this.focus = 'flows';
    this.forgetFlows();
  }

  /** One step back. @returns whether there was one */
  back(): boolean {
    if (this.details) this.details = false;
    else if (this.drilled) {
      this.drilled = undefined;
      this.focus = 'groups';
      this.forgetFlows();
    } else if (this.by !== undefined) this.groupBy(undefined);
    else if (this.filter !== '') this.setFilter('');
    else return false;
    return true;
  }

  setFilter(text: string): void {
    this.filter = text;
    this.drilled = undefined;
    if (this.by !== undefined) this.focus = 'groups';
    this.groupList.reset();
    this.groups = undefined;
    this.forgetFlows();
  }

  say(text: string, kind: TopMessage['kind'] = 'plain', milliseconds = 6000): void {
    this.message = { text, kind, until: performance.now() + milliseconds };
  }
}
