// Watches the events of a fleet: of every host that is there, and of those that come (back) while it goes on.

import type { Signal } from '../library/index.js';
import { onAbort } from '../library/index.js';
import type { AskOptions, Fleet } from './fleet.js';
import type { FleetVisitor, MissingHost } from './fleet-question.js';
import type { HostInfo } from './inventory.js';
import type { QueryBody } from './operations.js';

/** What a watch tells. */
export interface FleetWatchVisitor extends Pick<FleetVisitor, 'rows'> {
  /** A host is watched from now on: at first, and after it was away. */
  watched(host: string, again: boolean): void;
  /** The kernel of a host dropped so many events. */
  lost(host: string, loss: { readonly lost: number; readonly at: number; readonly netns?: string | undefined }): void;
  /** Nothing is known of the events of a host from now on. */
  away(missing: MissingHost): void;
}

/** Whom to watch. */
export interface FleetWatchOptions extends Pick<AskOptions, 'on' | 'sites' | 'wait'> {
  readonly signal: Signal;
}

/** Pause between looks at who is there. */
const LOOK = 3000;
const WAIT = 2000;
/** Milliseconds after which a host that gave no sign of life is away. */
const SILENCE = 15_000;

/** Until the signal, or until `rows` says that it is enough. @throws FleetError; what the visitor throws */
export async function watchFleet(
  fleet: Fleet,
  body: QueryBody,
  { on, sites, wait = WAIT, signal }: FleetWatchOptions,
  visitor: FleetWatchVisitor,
): Promise<void> {
  const end = new AbortController();
  if (signal.aborted) return;
  const heeding = onAbort(signal, () => end.abort());
  const active = new Set<string>();
  const asked = new Set<string>();
  const known = new Set<string>();
  const told = new Set<string>();
  let failure: { readonly error: unknown } | undefined;
  const running = new Set<Promise<void>>();
  const stop = (error?: unknown) => {
    if (error !== undefined) failure ??= { error };
    end.abort();
  };
  const away = (missing: MissingHost) => {
    active.delete(missing.host);
    if (end.signal.aborted || told.has(missing.host)) return;
    told.add(missing.host);
    visitor.away(missing);
  };
  const watch = async (hosts: readonly HostInfo[]) => {
    const ends: FleetVisitor = {
      rows: async (host, netns, rows, at) => {
        const taken = await visitor.rows!(host, netns, rows, at);
        if (taken.enough) stop();
        return taken;
      },
      note: (host, value) => {
        const { lost, at, netns } = (value ?? {}) as { readonly lost?: unknown; readonly at?: unknown; readonly netns?: unknown };
        if (typeof lost !== 'number' || typeof at !== 'number') return;
        visitor.lost(host, { lost, at, ...(typeof netns === 'string' ? { netns } : {}) });
      },
      missed: away,
      begun: (host) => {
        const again = known.has(host);
        if (!again || told.has(host)) visitor.watched(host, again);
        known.add(host);
        told.delete(host);
      },
    };
    const question = {
      op: 'events',
      body,
      hosts,
      wait,
      deadline: Number.POSITIVE_INFINITY,
      silence: SILENCE,
      window: 2 * hosts.length,
      signal: end.signal,
    } as const;
    await fleet.query(question, ends).run();
    for (const { host } of hosts) active.delete(host);
  };
  try {
    while (!end.signal.aborted) {
      const { expected, unable, gone } = await fleet.able('events', { on, sites });
      for (const missing of [...unable, ...gone]) if (!active.has(missing.host)) away(missing);
      const fresh = expected.filter(({ host }) => !active.has(host));
      if (fresh.length > 0) {
        for (const { host } of fresh) {
          active.add(host);
          asked.add(host);
        }
        const one = watch(fresh).catch(stop);
        running.add(one);
        void one.then(() => running.delete(one));
      }
      await pause(LOOK, end.signal);
    }
  } finally {
    end.abort();
    heeding();
    await Promise.all(running);
  }
  // Whoever was asked, and had said nothing by the end, may have had events.
  for (const host of asked) if (!known.has(host) && !told.has(host)) visitor.away({ host, why: 'silent', rows: 0 });
  if (failure) throw failure.error;
}

/** Settles after a time, or with the signal. */
export function pause(milliseconds: number, signal?: Signal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      heeding();
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    const heeding = onAbort(signal, end);
  });
}
