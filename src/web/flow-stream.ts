// Events of flows for programs, as `conntrack -E -o ndjson` has them: the kernel filters for each stream. What a slow reader could not take,
// and what was lost, is told as a gap.

import type { EventType } from '../ctnetlink/event.js';
import type { Conntrack } from '../library/index.js';
import type { ByteStream } from './byte-stream.js';
import { eventText, RETRY } from './event-text.js';

/** Events that may wait in this process for a reader. */
const MOST_WAITING = 4096;

export interface FlowStreamOptions {
  readonly filter: string | undefined;
  readonly types: readonly EventType[] | undefined;
  readonly epoch: string;
  /** The reader was here before, and missed what happened since. */
  readonly resumed: boolean;
  /** Opens the stream. `closed`: it has ended. @throws WebError 503 */
  readonly open: (closed: () => void) => ByteStream;
  /** The table can no longer be followed. */
  readonly failed: (error: unknown) => void;
  /** Milliseconds after which a gap is told even if nothing follows it. */
  readonly gapWithin: number;
}

/** Opens a stream of the events of one namespace. @throws WebError 503; what `events` throws */
export function flowStream(
  conntrack: Conntrack,
  { filter, types, epoch, resumed, open, failed, gapWithin }: FlowStreamOptions,
): ReadableStream<Uint8Array> {
  let missed = 0;
  const events = conntrack.events(filter ?? {}, {
    ...(types ? { types } : {}),
    overflow: 'drop-oldest',
    highWaterMark: MOST_WAITING,
    onLost: (loss) => {
      missed += loss.events;
    },
  });
  const tellGap = () => {
    if (missed > 0 && stream.write(eventText('gap', { events: missed }))) missed = 0;
  };
  const timer = setInterval(tellGap, gapWithin).unref();
  const close = () => {
    clearInterval(timer);
    events.close();
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
  const pump = async () => {
    try {
      for await (const event of events) {
        tellGap();
        if (missed > 0 || !stream.write(eventText(event.type, event))) missed++;
        if (stream.ended) return;
      }
    } catch (error) {
      failed(error);
    } finally {
      stream.end();
    }
  };
  void pump();
  return stream.body;
}
