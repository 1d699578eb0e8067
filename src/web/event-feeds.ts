// EventFeeds: events of flows for all streams that ask the same question: the kernel filters them once, and each is encoded once.

import { setImmediate as turn } from 'node:timers/promises';
import type { FlowEvent } from '../ctnetlink/event.js';
import { eventText } from './event-text.js';

/** Milliseconds of events, after which others are answered. */
const SLICE = 5;

/** A stream of them. */
export interface FeedReader {
  event(bytes: Uint8Array): void;
  /** So many were lost on the way here. */
  lost(events: number): void;
  /** There are no more. */
  end(): void;
}

/** Events as `conntrack.events` has them. */
export interface FeedSource extends AsyncIterable<FlowEvent> {
  /** Events that were left out because too many waited. */
  readonly dropped: number;
  close(): void;
}

export interface FeedQuestion {
  /** The same for the same question. */
  readonly name: string;
  /** Opens the source. `lost` is told how many events were lost. */
  readonly open: (lost: (events: number) => void) => FeedSource;
  /** The table can no longer be followed. */
  readonly failed: (error: unknown) => void;
}

interface Feed {
  readonly source: FeedSource;
  readonly readers: Set<FeedReader>;
}

export class EventFeeds {
  readonly #feeds = new Map<string, Feed>();
  readonly #encoder = new TextEncoder();

  /** Reads along. @returns what ends that @throws what opening the source throws */
  join(question: FeedQuestion, reader: FeedReader): () => void {
    const { name } = question;
    const feed = this.#feeds.get(name) ?? this.#open(question);
    feed.readers.add(reader);
    return () => {
      feed.readers.delete(reader);
      if (feed.readers.size > 0) return;
      this.#forget(name, feed);
      feed.source.close();
    };
  }

  #open({ name, open, failed }: FeedQuestion): Feed {
    const readers = new Set<FeedReader>();
    const source = open((events) => {
      for (const reader of readers) reader.lost(events);
    });
    const feed = { source, readers };
    this.#feeds.set(name, feed);
    void this.#pump(name, feed, failed);
    return feed;
  }

  async #pump(name: string, feed: Feed, failed: (error: unknown) => void): Promise<void> {
    const { source, readers } = feed;
    try {
      let until = performance.now() + SLICE;
      let told = 0;
      for await (const event of source) {
        if (source.dropped > told) {
          for (const reader of readers) reader.lost(source.dropped - told);
          told = source.dropped;
        }
        const bytes = this.#encoder.encode(eventText(event.type, event));
        for (const reader of readers) reader.event(bytes);
        if (performance.now() < until) continue;
        await turn();
        until = performance.now() + SLICE;
      }
    } catch (error) {
      failed(error);
    } finally {
      this.#forget(name, feed);
      for (const reader of readers) reader.end();
    }
  }

  /** Whoever asks from now on opens another one. */
  #forget(name: string, feed: Feed): void {
    if (this.#feeds.get(name) === feed) this.#feeds.delete(name);
  }
}
