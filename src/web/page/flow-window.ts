// FlowWindow: the flows around what is on the screen, asked for as they are needed. The server has the order; here are a few hundred rows.

import { effect, signal } from '@preact/signals';
import { ApiError, ask } from './api.js';
import { filterProblem, oneAtATime, refused } from './page-state.js';
import { queryOf } from './page-view.js';
import type { PageFlow, PageFlows } from './shapes.js';

/** Rows that are asked for around those that are missing. */
const BLOCK = 200;
/** Rows that are kept. */
const KEPT = 2000;

/** A row, and the sample it is of. */
interface Row {
  readonly flow: PageFlow;
  readonly sample: number;
}

export class FlowWindow {
  /** What is said of all that match; undefined: nothing yet. */
  readonly answer = signal<Omit<PageFlows, 'flows'> | undefined>(undefined);
  /** Rises when rows have changed. */
  readonly changes = signal(0);
  readonly #rows = new Map<number, Row>();
  /** Changes with the filter and the order: older answers are of no use. */
  #query = 0;
  #sample = 0;
  #first = 0;
  #count = 0;
  readonly #refresh = oneAtATime(() => this.#ask(this.#first, this.#count, true));
  readonly #fill = oneAtATime(async () => {
    if (this.#isComplete()) return;
    await this.#ask(Math.max(0, this.#first - ((BLOCK - this.#count) >> 1)), Math.max(BLOCK, this.#count), false);
  });

  /** Follows filter and order of the view. */
  start(): void {
    effect(() => {
      queryOf.value;
      this.#query++;
      this.#rows.clear();
      this.#tell();
      if (this.#count > 0) void this.#refresh();
    });
  }

  /** These rows are on the screen. */
  look(first: number, count: number): void {
    this.#first = first;
    this.#count = count;
    if (this.answer.peek() === undefined) void this.#refresh();
    else if (!this.#isComplete()) void this.#fill();
  }

  /** There may be something new. */
  refresh(): Promise<void> {
    return this.#refresh();
  }

  at(index: number): PageFlow | undefined {
    return this.#rows.get(index)?.flow;
  }

  /** Where a flow is, if it is around here. */
  indexOf(key: string): number | undefined {
    for (const [index, { flow }] of this.#rows) if (flow.key === key) return index;
    return undefined;
  }

  #tell(): void {
    this.changes.value = this.changes.peek() + 1;
  }

  #isComplete(): boolean {
    const end = Math.min(this.#first + this.#count, this.answer.peek()?.matched ?? 0);
    for (let index = this.#first; index < end; index++) if (this.#rows.get(index)?.sample !== this.#sample) return false;
    return true;
  }

  async #ask(offset: number, limit: number, isNews: boolean): Promise<void> {
    const query = this.#query;
    try {
      const { flows, ...answer } = await ask<PageFlows>('flows', {
        ...Object.fromEntries(new URLSearchParams(queryOf.value)),
        offset: String(offset),
        limit: String(limit),
        ...(isNews ? { hold: '1' } : {}),
      });
      if (query !== this.#query) return;
      filterProblem.value = undefined;
      // A row stands once: where it was before, something else is now.
      const keys = new Set(flows.map(({ key }) => key));
      for (const [index, { flow }] of this.#rows)
        if (keys.has(flow.key) || index >= answer.matched || Math.abs(index - this.#first) > KEPT) this.#rows.delete(index);
      for (const [n, flow] of flows.entries()) this.#rows.set(offset + n, { flow, sample: answer.sample });
      this.#sample = answer.sample;
      this.answer.value = answer;
      this.#tell();
    } catch (error) {
      if (query !== this.#query) return;
      if (error instanceof ApiError && error.code === 'FILTER') {
        filterProblem.value = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
        this.answer.value = undefined;
        this.#tell();
      } else refused(error);
    }
  }
}

export const flows = new FlowWindow();
