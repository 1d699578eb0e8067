// Sends the events of a host to whoever watches them, until they have enough. It listens by itself: whatever else listens on this host is
// never slowed. While the reader is slow, events wait in the kernel, and it is told how many were lost.

import { eventGroups } from '../ctnetlink/event.js';
import type { View } from '../ctnetlink/view.js';
import { type Conntrack, readFilter, sessionOf } from '../library/index.js';
import { Nl1Writer } from './nl1.js';
import type { QueryBody } from './operations.js';
import { flowPieces } from './pieces.js';
import type { RunningQuery } from './running-query.js';

/** Events of so many milliseconds go together. */
const TOGETHER = 20;
/** From so many on, the rest waits in the kernel. */
const MANY = 2000;

/** @throws QueryEnd; what the kernel says */
export async function sendEvents(
  query: RunningQuery,
  body: QueryBody,
  tables: ReadonlyMap<string, Conntrack>,
  several: boolean,
): Promise<void> {
  const watched = [...tables].map(([name, conntrack]) => new WatchedTable(conntrack, body, several ? name : undefined));
  try {
    for (const each of watched) each.start();
    query.head(0);
    // The first that ends, ends all.
    await Promise.race(watched.map((each) => each.send(query)));
  } finally {
    for (const each of watched) each.close();
  }
}

class WatchedTable {
  readonly #netns: string | undefined;
  readonly #watch;
  #writing = new Nl1Writer('events');
  #spare = new Nl1Writer('events');
  /** When the first event of `#writing` came. */
  #at = 0;
  #now = 0;
  #losses: { readonly lost: number; readonly at: number }[] = [];
  #failure: unknown;
  #paused = false;
  #wake = () => {};

  constructor(conntrack: Conntrack, { filter, types }: QueryBody, netns: string | undefined) {
    this.#netns = netns;
    this.#watch = sessionOf(conntrack).watch(
      {},
      { table: 'conntrack', groups: types && eventGroups(types), filter: readFilter(filter ?? {}) },
    );
  }

  start(): void {
    this.#watch.start({
      beginBatch: () => {
        this.#now = Date.now();
      },
      event: (view) => this.#take(view),
      idle: () => this.#wake(),
      lost: ({ events, at }) => {
        this.#losses.push({ lost: events, at });
        this.#wake();
      },
      failed: (error) => {
        this.#failure = error;
        this.#wake();
      },
    });
  }

  close(): void {
    this.#watch.close();
  }

  /** Until the query ends. @throws QueryEnd */
  async send(query: RunningQuery): Promise<never> {
    for (;;) {
      query.check();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#writing.rows === 0 && this.#losses.length === 0) {
        await Promise.race([this.#something(), query.ending]);
        if (this.#writing.rows < MANY) await new Promise((resolve) => setTimeout(resolve, TOGETHER));
        continue;
      }
      const losses = this.#losses.splice(0);
      const [full, at] = [this.#writing, this.#at];
      this.#writing = this.#spare;
      if (full.rows > 0)
        for (const { body, rows } of flowPieces(full, query.terms.columns)) await query.part(body, rows, this.#netns, at);
      full.reset();
      this.#spare = full;
      for (const loss of losses) query.note(this.#netns === undefined ? loss : { ...loss, netns: this.#netns });
      if (this.#paused && this.#writing.rows < MANY) {
        this.#paused = false;
        this.#watch.resume();
      }
    }
  }

  #something(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(view: View): void {
    if (this.#writing.rows === 0) this.#at = this.#now;
    // Some more may come of what was read already.
    if (!this.#writing.add(view.data, view.start, view.size)) this.#losses.push({ lost: 1, at: this.#now });
    if (this.#writing.rows < MANY || this.#paused) return;
    this.#paused = true;
    this.#watch.pause();
    this.#wake();
  }
}
