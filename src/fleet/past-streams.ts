// PastStreams: flows of several hosts and collectors, each in its order → one order. It holds the next rows of each, and no more.

import { endOfRow } from '../history/past-columns.js';
import type { SentRow } from './past-rows.js';

interface Stream {
  rows: readonly SentRow[];
  at: number;
  readonly waiting: (readonly SentRow[])[];
  ended: boolean;
  readonly more: () => void;
}

export class PastStreams {
  readonly #streams = new Map<string, Stream>();
  readonly #newestFirst: boolean;
  readonly #take: (row: SentRow) => boolean;
  readonly #flush: () => Promise<void>;
  #pumping: Promise<void> = Promise.resolve();
  #full = false;
  /** The stream that is taken from, up to the next row of another one. */
  #run: { readonly current: Stream | undefined; readonly bound: number } = { current: undefined, bound: 0 };

  /** `take` is given each row, and says whether more are wanted; `flush` settles when they were taken. */
  constructor(newestFirst: boolean, take: (row: SentRow) => boolean, flush: () => Promise<void>) {
    this.#newestFirst = newestFirst;
    this.#take = take;
    this.#flush = flush;
  }

  /** Nothing is taken before all streams are known. `more` is called when rows of this one are wanted. */
  add(name: string, more: () => void): void {
    this.#streams.set(name, { rows: [], at: 0, waiting: [], ended: false, more });
  }

  /** Whether nothing more is wanted at all. */
  get full(): boolean {
    return this.#full;
  }

  wants(name: string): boolean {
    const stream = this.#streams.get(name);
    return stream !== undefined && stream.waiting.length === 0;
  }

  /** Rows of a stream have come. Settles when what can be taken was. */
  give(name: string, rows: readonly SentRow[]): Promise<void> {
    const stream = this.#streams.get(name);
    if (rows.length > 0) stream?.waiting.push(rows);
    return this.#pump();
  }

  end(name: string): Promise<void> {
    const stream = this.#streams.get(name);
    if (stream) stream.ended = true;
    return this.#pump();
  }

  #pump(): Promise<void> {
    this.#pumping = this.#pumping.then(() => this.#work());
    return this.#pumping;
  }

  async #work(): Promise<void> {
    for (let taken = 1; !this.#full; taken++) {
      const stream = this.#next();
      if (!stream) break;
      this.#full = !this.#take(stream.rows[stream.at++]!);
      if (taken % FLUSH_EVERY === 0) await this.#flush();
    }
    await this.#flush();
  }

  /** The stream whose row is next; `undefined`: one that has not ended has no rows at the moment. */
  #next(): Stream | undefined {
    const { current, bound } = this.#run;
    const row = current?.rows[current.at];
    if (row && !this.#isBehind(keyOf(row), bound)) return current;
    let first: Stream | undefined;
    let firstKey = this.#last;
    let second = this.#last;
    for (const [name, stream] of this.#streams) {
      if (stream.at === stream.rows.length) {
        const rows = stream.waiting.shift();
        if (rows) {
          stream.rows = rows;
          stream.at = 0;
          stream.more();
        } else if (stream.ended) {
          this.#streams.delete(name);
          continue;
        } else return undefined;
      }
      const key = keyOf(stream.rows[stream.at]!);
      if (!first || this.#isBehind(firstKey, key)) {
        second = firstKey;
        first = stream;
        firstKey = key;
      } else if (this.#isBehind(second, key)) second = key;
    }
    this.#run = { current: first, bound: second };
    return first;
  }

  #isBehind(key: number, other: number): boolean {
    return this.#newestFirst ? key < other : key > other;
  }

  get #last(): number {
    return this.#newestFirst ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
}

const FLUSH_EVERY = 256;

/** Flows that live come behind all others, in any order. */
function keyOf({ row, open }: SentRow): number {
  return open ? Number.POSITIVE_INFINITY : endOfRow(row);
}
