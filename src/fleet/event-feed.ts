// FleetEvents: what happens on many hosts, as it happens.

import type { FlowEvent } from '../ctnetlink/event.js';
import { FlowReader } from '../ctnetlink/flow.js';
import { createFlowView } from '../ctnetlink/view.js';
import { toFlowEvent } from '../library/index.js';
import type { Fleet } from './fleet.js';
import type { FleetAskOptions } from './fleet-asking.js';
import type { MissingHost } from './fleet-question.js';
import { watchFleet } from './fleet-watch.js';
import { handedOver } from './hand-over.js';
import { Nl1Reader } from './nl1.js';
import type { QueryBody } from './operations.js';

/** Whose events are watched. */
export interface FleetEventsOptions extends Pick<FleetAskOptions, 'on' | 'sites' | 'netns' | 'wait' | 'signal'> {
  /** Default: all. */
  readonly types?: readonly FlowEvent['type'][] | undefined;
  /** A host is watched from now on; `again`: it was away. */
  readonly onWatched?: ((host: string, again: boolean) => void) | undefined;
  /** The kernel of a host dropped so many events. `at`: milliseconds since the epoch. */
  readonly onLost?: ((host: string, loss: { readonly lost: number; readonly at: number }) => void) | undefined;
  /** Events of a host may be missing from now on, until it is watched again. */
  readonly onAway?: ((missing: MissingHost) => void) | undefined;
}

/** An event of a fleet. */
export interface FleetEvent {
  readonly host: string;
  /** The network namespace, if the agent looks into several. */
  readonly netns?: string | undefined;
  /** When it came to the agent, in milliseconds since the epoch, by the clock of the host; some milliseconds early or late. */
  readonly at: number;
  readonly event: FlowEvent;
}

/** For `FleetClient.events`. Leaving the loop ends it everywhere. */
export async function* fleetEvents(
  fleet: Fleet,
  body: QueryBody,
  { on, sites, wait, signal, onWatched, onLost, onAway }: FleetEventsOptions,
): AsyncGenerator<FleetEvent, void, undefined> {
  const view = createFlowView();
  const reader = new Nl1Reader();
  const flows = new FlowReader();
  yield* handedOver<FleetEvent, void>(signal, (give, ending) =>
    watchFleet(
      fleet,
      body,
      { on, sites, ...(wait === undefined ? {} : { wait }), signal: ending },
      {
        rows: async (host, netns, packed, at = Date.now()) => {
          const events: FleetEvent[] = [];
          const rows = reader.read(packed, (bytes, from, to) => {
            view.decode(bytes, from, to);
            events.push({ host, ...(netns === undefined ? {} : { netns }), at, event: toFlowEvent(view, flows) });
          });
          await give(events);
          return { rows };
        },
        watched: (host, again) => onWatched?.(host, again),
        lost: (host, loss) => onLost?.(host, loss),
        away: (missing) => onAway?.(missing),
      },
    ),
  );
  signal?.throwIfAborted();
}
