// The server of `conntrack serve`: a meter, a handler, and the places where it listens, until a signal ends it.

import type { Conntrack } from '../library/index.js';
import { openMeter } from '../meter/index.js';
import { Tokens } from './auth.js';
import { createHandler } from './handler.js';
import { type Listener, type ListenPlace, listenAt } from './listeners.js';
import type { Secrets } from './server-options.js';
import type { HandlerOptions, LogEntry } from './web-options.js';

export interface ServerOptions
  extends Pick<
    HandlerOptions,
    'allowChanges' | 'basePath' | 'maxStreams' | 'metricsOnly' | 'metricsOpen' | 'metricsTop' | 'version'
  > {
  readonly places: readonly ListenPlace[];
  readonly secrets: Secrets;
  readonly auth: boolean;
  readonly hosts: readonly string[];
  readonly scope: string | undefined;
  readonly interval: number;
  readonly share: number;
  readonly log: (entry: LogEntry) => void;
  /** It listens: at these addresses. */
  readonly listening: (urls: readonly string[]) => void;
}

/** Serves until `signal` is aborted. @throws what listening and the meter throw */
export async function serve(
  conntracks: ReadonlyMap<string, Conntrack>,
  options: ServerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { places, secrets, auth, hosts, scope, interval, share, log, listening, ...rest } = options;
  const tokens = new Tokens();
  if (secrets.changeToken !== undefined) tokens.add(secrets.changeToken, 'change');
  if (secrets.readToken !== undefined) tokens.add(secrets.readToken, 'read');
  await using meter = await openMeter(conntracks, { filter: scope, interval, share });
  const handler = createHandler({
    ...rest,
    meter,
    conntracks,
    scope,
    hosts: [...hosts, ...places.flatMap((place) => (place.kind === 'tcp' ? [hostOf(place.host)] : []))],
    authorize: auth ? (request) => tokens.roleOf(request) : () => (rest.allowChanges ? 'change' : 'read'),
    log,
  });
  const tls =
    secrets.cert !== undefined && secrets.key !== undefined
      ? { cert: Buffer.from(secrets.cert), key: Buffer.from(secrets.key) }
      : undefined;
  const open: Listener[] = [];
  try {
    for (const place of places) open.push(await listenAt(place, handler, { tls }));
    listening(open.map(({ url }) => url));
    await ended(meter, signal);
  } finally {
    handler.close();
    await Promise.all(open.map((listener) => listener.close()));
  }
}

function hostOf(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
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
  await Promise.race([aborted, failed]);
}
