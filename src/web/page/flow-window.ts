// FlowWindow: the flows around what is on the screen, asked for as they are needed. The server has the order; here are a few hundred rows.

import { effect, signal } from '@preact/signals';
import { ApiError, ask } from './api.js';
import { filterProblem, oneAtATime, refused } from './page-state.js';
import { queryOf, view } from './page-view.js';
import type { PageFlow, PageFlows } from './shapes.js';

/** Rows that are asked for around those that are missing. */
const BLOCK = 200;
/** Rows that are kept. */
const KEPT = 2000;

/** Samples for which a flow that has ended stays where it was. */
const ENDED_KEPT = 2;

/** A row, and the sample it is of. */
interface Row {
  readonly flow: PageFlow;
  readonly sample: number;
}

/** A flow that has ended since it was on the screen, at its place there. */
interface Ended {
  readonly index: number;
  readonly flow: PageFlow;
  left: number;
}

export class FlowWindow {
  /** What is said of all that match; undefined: nothing yet. */
  readonly answer = signal<Omit<PageFlows, 'flows'> | undefined>(undefined);
  /** Rises when rows have changed. */
  readonly changes = signal(0);
  /** The order stands, and values go on. */
  readonly isHeld = signal(false);
  readonly #rows = new Map<number, Row>();
  /** In the order of their places. */
  #ended: readonly Ended[] = [];
  /** Changes with the filter and the order: older answers are of no use. */
  #query = 0;
  #sample = 0;
  #first = 0;
  #count = 0;
  readonly #refresh = oneAtATime(() => (this.isHeld.peek() ? this.#renew() : this.#ask(this.#first, this.#count, true)));
  readonly #fill = oneAtATime(async () => {
    if (this.#isComplete()) return;
    await this.#ask(Math.max(0, this.#first - ((BLOCK - this.#count) >> 1)), Math.max(BLOCK, this.#count), false);
  });

  /** Follows filter and order of the view. */
  start(): void {
    effect(() => {
      queryOf.value;
      this.#query++;
      this.isHeld.value = false;
      this.#rows.clear();
      this.#ended = [];
      this.#tell();
      if (this.#count > 0) void this.#refresh();
    });
  }

  /** Rows that there are, with those that have ended. */
  get total(): number {
    return (this.answer.value?.matched ?? 0) + this.#ended.length;
  }

  /** These rows are on the screen. */
  look(first: number, count: number): void {
    // What has ended is between the others.
    this.#first = Math.max(0, first - this.#ended.length);
    this.#count = count + Math.min(first, this.#ended.length);
    if (this.answer.peek() === undefined) void this.#refresh();
    else if (!this.#isComplete()) void this.#fill();
  }

  /** There may be something new. */
  refresh(): Promise<void> {
    return this.#refresh();
  }

  /** Lets the order stand, or go on. */
  hold(isHeld: boolean): void {
    this.isHeld.value = isHeld;
    void this.#refresh();
  }

  at(index: number): PageFlow | undefined {
    let before = 0;
    for (const { index: at, flow } of this.#ended) {
      if (at === index) return flow;
      if (at < index) before++;
    }
    return this.#rows.get(index - before)?.flow;
  }

  /** Where a flow is, if it is around here. */
  indexOf(key: string): number | undefined {
    for (const { index, flow } of this.#ended) if (flow.key === key) return index;
    for (const [index, { flow }] of this.#rows) if (flow.key === key) return this.#shown(index);
    return undefined;
  }

  /** The place on the screen of a row of the server. */
  #shown(index: number): number {
    let shown = index;
    for (const { index: at } of this.#ended) if (at <= shown) shown++;
    return shown;
  }

  #tell(): void {
    this.changes.value = this.changes.peek() + 1;
  }

  #isComplete(): boolean {
    const end = Math.min(this.#first + this.#count, this.answer.peek()?.matched ?? 0);
    for (let index = this.#first; index < end; index++) {
      const row = this.#rows.get(index);
      if (!row || (row.sample !== this.#sample && !this.isHeld.peek())) return false;
    }
    return true;
  }

  /** The flows on the screen by their keys, with their places there. */
  #onScreen(): Map<string, { readonly index: number; readonly flow: PageFlow }> {
    const found = new Map<string, { index: number; flow: PageFlow }>();
    for (let index = this.#first; index < this.#first + this.#count; index++) {
      const flow = this.#rows.get(index)?.flow;
      if (flow) found.set(flow.key, { index: this.#shown(index), flow });
    }
    return found;
  }

  /** Those of some flows that live. */
  async #living(flows: readonly PageFlow[], isLooked: boolean): Promise<Map<string, PageFlow>> {
    if (flows.length === 0) return new Map();
    const numbers = flows.slice(0, MOST_NUMBERS).map(({ number }) => number);
    const answer = await ask<Pick<PageFlows, 'flows'>>('flows', {
      numbers: numbers.join(','),
      ...(isLooked ? { hold: '1' } : {}),
    });
    return new Map(answer.flows.map((flow) => [flow.key, flow]));
  }

  async #ask(offset: number, limit: number, isNews: boolean): Promise<void> {
    const query = this.#query;
    const before = isNews && view.value.ended === '' ? this.#onScreen() : new Map<string, never>();
    try {
      const { flows, ...answer } = await this.#answer(offset, limit, isNews);
      if (query !== this.#query) return;
      const isNewSample = answer.sample !== this.#sample;
      const keys = new Set(flows.map(({ key }) => key));
      const gone = isNewSample ? [...before.values()].filter(({ flow }) => !keys.has(flow.key)) : [];
      const living = await this.#living(gone.map(({ flow }) => flow), false); // biome-ignore format: one expression
      if (query !== this.#query) return;
      // A row stands once: where it was before, something else is now.
      for (const [index, { flow }] of this.#rows)
        if ((keys.has(flow.key) && !this.isHeld.peek()) || index >= answer.matched || Math.abs(index - this.#first) > KEPT)
          this.#rows.delete(index);
      for (const [n, flow] of flows.entries()) this.#rows.set(offset + n, { flow, sample: answer.sample });
      if (isNewSample) {
        const ended = gone.filter(({ flow }) => !living.has(flow.key)).map(({ index, flow }) => ({ index, flow: { ...flow, ended: true as const }, left: ENDED_KEPT })); // biome-ignore format: one expression
        for (const one of this.#ended) one.left--;
        this.#ended = [...this.#ended.filter(({ left }) => left > 0), ...ended].sort((a, b) => a.index - b.index);
      }
      this.#sample = answer.sample;
      this.answer.value = answer;
      this.#tell();
    } catch (error) {
      this.#failed(error, query);
    }
  }

  /** The rows on the screen anew, where they are. */
  async #renew(): Promise<void> {
    const query = this.#query;
    try {
      const { flows: _, ...answer } = await this.#answer(0, 0, true);
      const living = await this.#living([...this.#onScreen().values()].map(({ flow }) => flow), true); // biome-ignore format: one expression
      if (query !== this.#query) return;
      for (let index = this.#first; index < this.#first + this.#count; index++) {
        const row = this.#rows.get(index);
        if (row) this.#rows.set(index, { flow: living.get(row.flow.key) ?? { ...row.flow, ended: true }, sample: answer.sample });
      }
      this.#sample = answer.sample;
      this.answer.value = answer;
      this.#tell();
    } catch (error) {
      this.#failed(error, query);
    }
  }

  async #answer(offset: number, limit: number, isNews: boolean): Promise<PageFlows> {
    const answer = await ask<PageFlows>('flows', {
      ...Object.fromEntries(new URLSearchParams(queryOf.value)),
      offset: String(offset),
      limit: String(limit),
      ...(isNews ? { hold: '1' } : {}),
    });
    filterProblem.value = undefined;
    return answer;
  }

  #failed(error: unknown, query: number): void {
    if (query !== this.#query) return;
    if (!(error instanceof ApiError && error.code === 'FILTER')) {
      refused(error);
      return;
    }
    filterProblem.value = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
    this.answer.value = undefined;
    this.#tell();
  }
}

/** Flows that can be asked for by their numbers. */
const MOST_NUMBERS = 200;

export const flows = new FlowWindow();
