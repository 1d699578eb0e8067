// Answers that go on: events of the table, as they happen.

import { EVENT_TYPES, type EventType } from '../ctnetlink/event.js';
import { ClosedError } from '../errors.js';
import { parseFilter } from '../library/index.js';
import type { FeedQuestion } from './event-feeds.js';
import { flowStream } from './flow-stream.js';
import { EVENT_STREAM, namespaceOf, type RouteContext } from './route-context.js';
import { WebError } from './web-error.js';

/** Events that may wait to be encoded. */
const MOST_WAITING = 4096;

export function events(context: RouteContext): Response {
  const { epoch, failed, feeds, options, peer, request, streams, times, values } = context;
  const types = values.text('types')?.split(',');
  const wrong = types?.find((type) => !(EVENT_TYPES as readonly string[]).includes(type));
  if (wrong !== undefined) throw new WebError(400, 'VALUE', `types must be some of ${EVENT_TYPES.join(',')}`);
  const filter = values.text('filter');
  if (filter !== undefined) parseFilter(filter); // alone, so that an error says its place
  const parts = [options.scope, filter].filter((part) => part !== undefined && part.trim() !== '');
  const wanted = parts.length === 0 ? undefined : parts.map((part) => `(${part})`).join(' and ');
  const netns = values.text('netns');
  const conntrack = namespaceOf(context, netns);
  const question: FeedQuestion = {
    name: JSON.stringify([netns, wanted, types]),
    open: (lost) =>
      conntrack.events(wanted ?? {}, {
        ...(types ? { types: types as EventType[] } : {}),
        overflow: 'drop-oldest',
        highWaterMark: MOST_WAITING,
        onLost: ({ events }) => lost(events),
      }),
    failed: (error) => {
      if (!(error instanceof ClosedError)) failed(request, peer, error);
    },
  };
  const body = flowStream({
    epoch,
    resumed: request.headers.has('last-event-id'),
    join: (reader) => feeds.join(question, reader),
    open: (closed) => streams.open(peer, closed),
    gapWithin: times.count,
  });
  return eventStream(body);
}

export function eventStream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'Content-Type': EVENT_STREAM, 'X-Accel-Buffering': 'no' } });
}
