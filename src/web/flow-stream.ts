// Events of flows for programs, as `conntrack -E -o ndjson` has them. What a slow reader could not take, and what was lost, is told as a
// gap.

import type { ByteStream } from './byte-stream.js';
import type { FeedReader } from './event-feeds.js';
import { eventText, RETRY } from './event-text.js';

export interface FlowStreamOptions {
  readonly epoch: string;
  /** The reader was here before, and missed what happened since. */
  readonly resumed: boolean;
  /** Reads the events along with others. @returns what ends that */
  readonly join: (reader: FeedReader) => () => void;
  /** Opens the stream. `closed`: it has ended. @throws WebError 503 */
  readonly open: (closed: () => void) => ByteStream;
  /** Milliseconds after which a gap is told even if nothing follows it. */
  readonly gapWithin: number;
}

/** Opens a stream of the events of one namespace. @throws WebError 503; what `join` throws */
export function flowStream({ epoch, resumed, join, open, gapWithin }: FlowStreamOptions): ReadableStream<Uint8Array> {
  let missed = 0;
  const tellGap = () => {
    if (missed > 0 && stream.write(eventText('gap', { events: missed }))) missed = 0;
  };
  const leave = join({
    event: (bytes) => {
      tellGap();
      if (missed > 0 || !stream.write(bytes)) missed++;
    },
    lost: (events) => {
      missed += events;
    },
    end: () => stream.end(),
  });
  const timer = setInterval(tellGap, gapWithin).unref();
  const close = () => {
    clearInterval(timer);
    leave();
  };
  let stream: ByteStream;
  try {
    stream = open(close);
  } catch (error) {
    close();
    throw error;
  }
  // With an id, so that whoever comes back says so. Events have none: none is told again.
  stream.write(`${RETRY}id: ${epoch}\n\n`);
  if (resumed) stream.write(eventText('gap', { events: null }));
  return stream.body;
}
