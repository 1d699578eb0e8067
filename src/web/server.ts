// The server of `conntrack serve`: a meter, a handler, and the places where it listens, until a signal ends it.

import type { Conntrack } from '../library/index.js';
import { isLoopback } from '../loopback.js';
import { type FlowMeter, type LookAgain, openMeter } from '../meter/index.js';
import { askerOf, hostOfAddress, Tokens } from './auth.js';
import { createHandler } from './handler.js';
import { type KeepUpOptions, keepUp } from './keep-up.js';
import { type Listener, type ListenPlace, listenAt } from './listeners.js';
import { ServeError } from './serve-error.js';
import type { Secrets } from './server-options.js';
import type { HandlerOptions, LogEntry } from './web-options.js';

export interface ServerOptions
  extends Pick<
    HandlerOptions,
    | 'allowChanges'
    | 'basePath'
    | 'history'
    | 'maxStreams'
    | 'metricsOnly'
    | 'metricsOpen'
    | 'metricsTop'
    | 'trustProxy'
    | 'version'
  > {
  readonly places: readonly ListenPlace[];
  readonly secrets: Secrets;
  readonly auth: boolean;
  /** Other machines may be answered without TLS. */
  readonly plain: boolean;
  readonly hosts: readonly string[];
  readonly scope: string | undefined;
  readonly interval: number;
  readonly share: number;
  /** `process.umask`. */
  readonly umask: (mask: number) => number;
  /** Looks which network namespaces there are; `undefined`: they stay the same. `conntracks` has what there is then. */
  readonly lookAgain: LookAgain | undefined;
  readonly namespaceFailed: KeepUpOptions['failed'];
  readonly log: (entry: LogEntry) => void;
  /** It listens: at these addresses. */
  readonly listening: (urls: readonly string[]) => void;
}

/** Milliseconds between lists while nobody looks. */
const IDLE_INTERVAL = 30_000;

/** Milliseconds between looks for network namespaces. */
const LOOK_EVERY = 30_000;

/** Serves until `signal` is aborted. @throws what listening and the meter throw */
export async function serve(
  conntracks: ReadonlyMap<string, Conntrack>,
  options: ServerOptions,
  signal: AbortSignal,
): Promise<void> {
  const {
    places,
    secrets,
    auth,
    plain,
    hosts,
    scope,
    interval,
    share,
    umask,
    lookAgain,
    namespaceFailed,
    log,
    listening,
    ...rest
  } = options;
  const tokens = new Tokens();
  if (secrets.changeToken !== undefined) tokens.add(secrets.changeToken, 'change');
  if (secrets.readToken !== undefined) tokens.add(secrets.readToken, 'read');
  let meter: FlowMeter;
  try {
    meter = await openMeter(conntracks, { filter: scope, interval, share, minutes: rest.metricsOnly !== true, signal });
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  await using _ = meter;
  const handler = createHandler({
    ...rest,
    idleInterval: IDLE_INTERVAL,
    meter,
    conntracks,
    scope,
    hosts: [...hosts, ...places.flatMap((place) => (place.kind === 'tcp' ? [hostOfAddress(place.host)] : []))],
    authorize: auth ? (request, peer) => tokens.roleOf(request, askerOf(peer)) : () => (rest.allowChanges ? 'change' : 'read'),
    log,
  });
  const tls =
    secrets.cert !== undefined && secrets.key !== undefined
      ? { cert: Buffer.from(secrets.cert), key: Buffer.from(secrets.key) }
      : undefined;
  const open: Listener[] = [];
  try {
    for (const place of places) {
      const listener = await listenAt(place, handler, { umask, tls });
      open.push(listener);
      // What a service manager listens at is known only now.
      if (listener.address !== undefined && !isLoopback(listener.address)) checkOutside(auth, plain || tls !== undefined);
    }
    listening(open.map(({ url }) => url));
    const end = new AbortController();
    const last = ended(meter, signal);
    const kept = lookAgain && keepUp(meter, lookAgain, { every: LOOK_EVERY, failed: namespaceFailed, signal: end.signal });
    try {
      await Promise.race([last, ...(kept ? [kept.then(() => last)] : [])]);
    } finally {
      end.abort();
      await kept;
    }
  } finally {
    handler.close();
    await Promise.all(open.map((listener) => listener.close()));
  }
}

/** What it takes to answer other machines. @throws ServeError */
export function checkOutside(auth: boolean, secure: boolean): void {
  if (!auth)
    throw new ServeError('--no-auth is possible only where nobody else can connect', {
      hint: 'listen on 127.0.0.1, or use a token',
    });
  if (!secure)
    throw new ServeError('other machines would send their token in the clear', {
      hint: 'give --tls-cert and --tls-key, or --plain-http behind a proxy or in a trusted network',
    });
}

/** Settles at the abort; rejects when the meter fails. */
async function ended(meter: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const failed = (async () => {
    for await (const _ of meter) if (signal.aborted) return;
  })();
  failed.catch(() => {}); // after the abort, its end is no failure
  await Promise.race([aborted, failed]);
}
