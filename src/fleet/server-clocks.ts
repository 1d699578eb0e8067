// The clocks of servers, compared without changing anything: agents know how far they are off that of whoever leads the inventory, and say
// when they sent a record; whoever leads the stream of records says when it came.

import { H } from './bodies.js';
import type { Bus } from './bus.js';
import type { HostInfo } from './inventory.js';
import { sourceOf } from './record-message.js';
import { RECORD_STREAM, subjects } from './subjects.js';

/** A header of the servers: the message was taken in from another stream. */
const SOURCE = 'Nats-Stream-Source';
/** Messages that are looked at. */
const LOOKED_AT = 200;
/** Milliseconds for them. */
const PATIENCE = 5000;
/** Only what was sent lately: clocks are set. Milliseconds. */
const LATELY = 3_600_000;

/**
 * Milliseconds by which the clock of the server that leads the stream of records is ahead of that of the inventory; positive ones also have
 * what a message took on its way. `undefined`: nothing that tells it was sent lately. @throws FleetError if this user may not look
 */
export async function compareClocks(bus: Bus, hosts: readonly HostInfo[], now = Date.now()): Promise<number | undefined> {
  const state = await bus.streamState(RECORD_STREAM);
  if (!state || state.last < state.first) return undefined;
  const clocks = new Map(hosts.map(({ host, clock }) => [host, clock]));
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE);
  /** Of each host, what was fastest. */
  const ahead = new Map<string, number>();
  try {
    const from = Math.max(state.first, state.last - LOOKED_AT + 1);
    for await (const message of bus.followStream(RECORD_STREAM, {
      subject: subjects.record('*', '*', '*'),
      from,
      signal: abort.signal,
    })) {
      const host = sourceOf(message.subject)?.host ?? '';
      // What comes from a site has waited there.
      const clock = message.header(SOURCE) === undefined ? clocks.get(host) : undefined;
      const sent = Number(message.header(H.sent));
      if (clock && Number.isFinite(sent) && sent > 0 && Math.abs(now - message.at) < LATELY) {
        const took = message.at - (sent - clock.offset);
        ahead.set(host, Math.min(took, ahead.get(host) ?? took));
      }
      if (message.sequence >= state.last || message.pending === 0) break;
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
  // Whose clock was set in between is only one of them.
  const sorted = [...ahead.values()].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1];
}
