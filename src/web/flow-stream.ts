// Events of flows for programs, as `conntrack -E -o ndjson` has them: the kernel filters for each stream. What a slow reader could not take,
// and what was lost, is told as a gap.

import type { EventType } from '../ctnetlink/event.js';
import type { Conntrack } from '../library/index.js';
import { ByteStream } from './byte-stream.js';
import { eventText, PING, RETRY } from './event-text.js';

const PING_EVERY = 15_000;
/** Events that may wait in this process for a reader. */
const MOST_WAITING = 4096;

/** Opens a stream of the events of one namespace. `resumed`: the reader was here before, and missed what happened since. */
export function flowStream(
  conntrack: Conntrack,
  filter: string | undefined,
  types: readonly EventType[] | undefined,
  resumed: boolean,
  closed: () => void,
): { readonly body: ReadableStream<Uint8Array>; end(): void } {
  let missed = 0;
  const events = conntrack.events(filter ?? {}, {
    ...(types ? { types } : {}),
    overflow: 'drop-oldest',
    highWaterMark: MOST_WAITING,
    onLost: (loss) => {
      missed += loss.events;
    },
  });
  const ping = setInterval(() => stream.write(PING), PING_EVERY);
  ping.unref();
  const stream = new ByteStream(() => {
    clearInterval(ping);
    events.close();
    closed();
  });
  stream.write(RETRY);
  if (resumed) stream.write(eventText('gap', { events: null }));
  void pump(stream, events, () => {
    const lost = missed;
    missed = 0;
    return lost;
  });
  return { body: stream.body, end: () => stream.end() };
}

async function pump(
  stream: ByteStream,
  events: AsyncIterable<object & { readonly type: string }>,
  lost: () => number,
): Promise<void> {
  let left = 0;
  try {
    for await (const event of events) {
      left += lost();
      if (left > 0 && stream.write(eventText('gap', { events: left }))) left = 0;
      if (left > 0 || !stream.write(eventText(event.type, event))) left++;
      if (stream.ended) return;
    }
  } finally {
    stream.end();
  }
}
