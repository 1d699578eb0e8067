// createHandler: answers requests about a meter: page, API, streams, metrics. It does not listen: a `fetch` handler, for any server.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Hono } from 'hono/tiny';
import { FlowDeletion, type FlowMeter, namespacesOf } from '../meter/index.js';
import { checkOrigin, Hosts, type Role } from './auth.js';
import { Deletions } from './deletions.js';
import { News } from './news.js';
import { ROUTES, type RouteContext, type RouteRow, type WebState } from './routes.js';
import { Walks } from './walks.js';
import { errorJson, toWebError, WebError } from './web-error.js';
import type { HandlerOptions, Peer } from './web-options.js';

/** A handler of requests, with its streams. */
export interface WebHandler {
  /** Answers a request. `peer`: the connection it came by, whose own flow is never deleted. */
  (request: Request, peer?: Peer): Promise<Response>;
  /** Ends all streams; further ones are refused. */
  close(): void;
}

const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  [
    'Content-Security-Policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; " +
      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
];

const DEFAULT_STREAMS = 64;

/** Makes a handler. It follows the meter until that ends, or until `close`. @throws ValueError */
export function createHandler(options: HandlerOptions): WebHandler {
  const { meter, allowChanges = false, hosts, basePath = '', metricsOnly = false, maxStreams = DEFAULT_STREAMS } = options;
  const epoch = randomBytes(4).toString('hex');
  const conntracks = new Map(namespacesOf(options.conntracks));
  const state: WebState = {
    options,
    meter,
    conntracks,
    epoch,
    name: options.name ?? hostname(),
    news: new News(meter, epoch, maxStreams),
    walks: new Walks(),
    deletionsFor: (kept) => new FlowDeletion(meter, conntracks, options.scope, kept),
    deletions: new Deletions(),
    exports: { open: 0 },
    streams: { open: 0, most: maxStreams },
  };
  const allowed = hosts && new Hosts(hosts);
  const app = new Hono().basePath(basePath);
  const rows = ROUTES.filter(({ role, metrics }) => (role !== 'change' || allowChanges) && (!metricsOnly || metrics));
  const peers = new WeakMap<Request, Peer>();

  for (const row of rows)
    app.on(row.method, row.path, async ({ req }) => {
      const request = req.raw;
      const role = roleFor(row, request, options);
      if (allowed && row.method !== 'GET') checkOrigin(request, allowed);
      const context: RouteContext = {
        request,
        url: new URL(request.url),
        role,
        peer: peers.get(request),
        parameter: (name) => req.param(name) ?? '',
        ...state,
      };
      return row.run(context);
    });
  app.notFound(({ req }) => {
    const methods = rows
      .filter(({ path }) => matchesPath(path, new URL(req.url).pathname.slice(basePath.length)))
      .map(({ method }) => method);
    if (methods.length === 0) throw new WebError(404, 'NOT_FOUND', 'there is nothing here');
    const refusal = answerError(new WebError(405, 'METHOD', `${req.method} is not possible here`));
    refusal.headers.set('Allow', methods.join(', '));
    return refusal;
  });
  app.onError((error, { req }) => {
    if (error instanceof Response) return error as never;
    const known = toWebError(error);
    logError(options, req.raw, peers.get(req.raw), known, error);
    return answerError(known);
  });

  const handle = async (request: Request, peer?: Peer): Promise<Response> => {
    if (peer) peers.set(request, peer);
    let response: Response;
    try {
      allowed?.check(request);
      response = await app.fetch(request);
    } catch (error) {
      const known = toWebError(error);
      logError(options, request, peer, known, error);
      response = answerError(known);
    }
    for (const [name, value] of SECURITY_HEADERS) response.headers.set(name, value);
    if (!response.headers.has('Cache-Control')) response.headers.set('Cache-Control', 'no-store');
    return response;
  };
  void follow(meter, state.news);
  return Object.assign(handle, { close: () => state.news.close() });
}

/** Tells streams of every sample. */
async function follow(meter: FlowMeter, news: News): Promise<void> {
  try {
    for await (const sample of meter) news.sample(sample);
  } catch {
    // Whoever has the meter learns of it; here streams end.
  } finally {
    news.close();
  }
}

/** @throws WebError 401, 403 */
function roleFor(
  { role: needed, metrics }: RouteRow,
  request: Request,
  { authorize, metricsOpen = false }: HandlerOptions,
): Role | undefined {
  if (needed === 'open' || (metrics && metricsOpen)) return undefined;
  const role = authorize ? authorize(request) : 'read';
  if (role === undefined)
    throw new WebError(401, 'TOKEN', 'a token is needed', { hint: 'send it as: Authorization: Bearer TOKEN' });
  if (needed === 'change' && role !== 'change') throw new WebError(403, 'READ_ONLY', 'this token may only read');
  return role;
}

function answerError(error: WebError): Response {
  const response = Response.json(errorJson(error), { status: error.status });
  if (error.retryAfter !== undefined) response.headers.set('Retry-After', String(error.retryAfter));
  if (error.status === 401) response.headers.set('WWW-Authenticate', 'Bearer');
  return response;
}

function logError({ log }: HandlerOptions, request: Request, peer: Peer | undefined, { status }: WebError, error: unknown): void {
  const { pathname } = new URL(request.url);
  const entry = { method: request.method, path: pathname, status, ...(peer ? { peer: `${peer.address}:${peer.port}` } : {}) };
  if (status === 500)
    log?.({ what: 'error', ...entry, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  else if (status === 401 || status === 403 || status === 421 || status === 429) log?.({ what: 'refused', ...entry });
}

/** Whether a path is of a pattern such as `/a/:b`. */
function matchesPath(pattern: string, path: string): boolean {
  const [parts, given] = [pattern.split('/'), path.split('/')];
  return parts.length === given.length && parts.every((part, n) => part.startsWith(':') || part === given[n]);
}
