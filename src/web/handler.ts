// createHandler: answers requests about a meter: page, API, streams, metrics. It does not listen: a `fetch` handler, for any server.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Hono } from 'hono/tiny';
import { FlowDeletion, type FlowMeter, tablesOf } from '../meter/index.js';
import { Attention } from './attention.js';
import { checkOrigin, Hosts, isAccepted, PerSecond } from './auth.js';
import { Deletions } from './deletions.js';
import { EventFeeds } from './event-feeds.js';
import type { FetchRequest, FetchResponse } from './fetch-types.js';
import { HeldRows } from './held-rows.js';
import { News } from './news.js';
import { OpenStreams } from './open-streams.js';
import { QueryValues } from './request-values.js';
import { JSON_TYPE, loggedRequest, type RouteContext, type WebState } from './route-context.js';
import { ROUTES, type RouteRow } from './routes.js';
import { SharedAnswers } from './shared-answers.js';
import { TrustedProxies } from './trusted-proxies.js';
import { Walks } from './walks.js';
import { WebDoctor } from './web-doctor.js';
import { errorJson, toWebError, WebError } from './web-error.js';
import { WebMetrics } from './web-metrics.js';
import type { HandlerOptions, Peer, Role } from './web-options.js';
import { WebRecord } from './web-record.js';
import { WEB_TIMES, type WebTimes } from './web-times.js';

/** A handler of requests, with its streams. */
export interface WebHandler {
  /** Answers a request. `peer`: the connection it came by, whose own flow is never deleted. */
  (request: FetchRequest, peer?: Peer): Promise<FetchResponse>;
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
/** Refusals in a second that are logged one by one. */
const MOST_TOLD = 10;

/** Makes a handler. It follows the meter until that ends, or until `close`. @throws ValueError */
export function createHandler(options: HandlerOptions): WebHandler {
  return handlerWith(options, WEB_TIMES);
}

/** For tests. @internal */
export function handlerWith(options: HandlerOptions, times: WebTimes): WebHandler {
  const {
    meter,
    allowChanges = false,
    hosts,
    basePath = '',
    metricsOnly = false,
    trustProxy = [],
    maxStreams = DEFAULT_STREAMS,
  } = options;
  const epoch = randomBytes(4).toString('hex');
  const conntracks = tablesOf(options.conntracks);
  const streams = new OpenStreams(maxStreams, times);
  const metrics = new WebMetrics(options, streams);
  const doctor = new WebDoctor(conntracks, options.scope !== undefined, times);
  const logError = errorLog(options);
  const attention = new Attention(meter, { idleInterval: options.idleInterval, patience: times.attention, streams });
  const state: WebState = {
    options,
    meter,
    conntracks,
    epoch,
    name: options.name ?? hostname(),
    news: new News(meter, epoch, streams, times),
    walks: new Walks(times.kept),
    deletionsFor: (kept) => new FlowDeletion(meter, conntracks, options.scope, kept),
    deletions: new Deletions(times.kept),
    exports: { open: 0 },
    explanations: { open: 0 },
    doctor,
    streams,
    attention,
    record: new WebRecord(options.history, options.scope),
    answers: new SharedAnswers(times.shared),
    held: new HeldRows(meter, times.held),
    metrics,
    feeds: new EventFeeds(),
    times,
    failed: logError,
  };
  const allowed = hosts && new Hosts(hosts);
  const proxies = trustProxy.length > 0 ? new TrustedProxies(trustProxy) : undefined;
  const app = new Hono().basePath(basePath);
  const rows = ROUTES.filter(({ role, metrics }) => (role !== 'change' || allowChanges) && (!metricsOnly || metrics));
  const peers = new WeakMap<Request, Peer>();
  /** The route of a request, for metrics. */
  const paths = new WeakMap<Request, string>();

  for (const row of rows)
    app.on(row.method, row.path, async ({ req }) => {
      const request = req.raw;
      paths.set(request, row.path);
      const role = await roleFor(row, request, peers.get(request), options);
      const isOpen = row.role === 'open';
      const values = new QueryValues(new URL(request.url).searchParams, row.parameters, isOpen ? 'any' : 'known');
      if (!isOpen) {
        checkOrigin(request, allowed !== undefined);
        checkAccepted(request, row.types ?? [JSON_TYPE]);
      }
      if (!isOpen) attention.look();
      const context: RouteContext = {
        request,
        values,
        role,
        peer: peers.get(request),
        parameter: (name) => req.param(name) ?? '',
        ...state,
      };
      const response = await row.run(context);
      if (request.method !== 'HEAD') return response;
      await response.body?.cancel(); // nobody will read it, and streams and exports are few
      return new Response(null, response);
    });
  app.notFound(({ req }) => {
    const { pathname } = new URL(req.url);
    const methods = pathname.startsWith(`${basePath}/`)
      ? rows.filter(({ path }) => matchesPath(path, pathname.slice(basePath.length))).map(({ method }) => method)
      : [];
    if (methods.length === 0) throw new WebError(404, 'NOT_FOUND', 'there is nothing here');
    const refusal = answerError(new WebError(405, 'METHOD', 'this is not possible here'));
    refusal.headers.set('Allow', methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', '));
    return refusal;
  });
  app.onError((error) => {
    throw error; // all are answered below
  });

  const answer = async (request: Request, peer: Peer | undefined): Promise<Response> => {
    try {
      allowed?.check(request, peer);
      return await app.fetch(request);
    } catch (error) {
      if (error instanceof Response) return new Response(error.body, error); // of `authorize`; its headers may be immutable
      logError(request, peer, error);
      return answerError(toWebError(error));
    }
  };
  const handle = async (request: Request, connection?: Peer): Promise<Response> => {
    const client = connection && proxies?.clientOf(connection, request.headers);
    const peer = client === undefined ? connection : { ...connection!, client };
    if (peer) peers.set(request, peer);
    const response = await answer(request, peer);
    metrics.answered(paths.get(request), request.method, response.status);
    for (const [name, value] of SECURITY_HEADERS) response.headers.set(name, value);
    if (!response.headers.has('Cache-Control')) response.headers.set('Cache-Control', 'no-store');
    return response;
  };
  void follow(meter, state.news, streams);
  const close = () => {
    streams.close();
    metrics.close();
    doctor.close();
    state.held.close();
    attention.close();
  };
  return Object.assign(handle, { close });
}

/** Tells streams of every sample. */
async function follow(meter: FlowMeter, news: News, streams: OpenStreams): Promise<void> {
  try {
    for await (const sample of meter) news.sample(sample);
  } catch {
    // Whoever has the meter learns of it; here streams end.
  } finally {
    streams.close();
  }
}

/** @throws WebError 401, 403 */
async function roleFor(
  { role: needed, metrics }: RouteRow,
  request: Request,
  peer: Peer | undefined,
  { authorize, metricsOpen = false }: HandlerOptions,
): Promise<Role | undefined> {
  if (needed === 'open' || (metrics && metricsOpen)) return undefined;
  const role = authorize ? await authorize(request, peer) : 'read';
  if (role !== 'read' && role !== 'change')
    throw new WebError(401, 'TOKEN', 'a token is needed', { hint: 'send it as: Authorization: Bearer TOKEN' });
  if (needed === 'change' && role !== 'change') throw new WebError(403, 'READ_ONLY', 'this token may only read');
  return role;
}

/** @throws WebError 406 */
function checkAccepted({ headers }: Request, types: readonly string[]): void {
  const accept = headers.get('accept');
  if (!types.some((type) => isAccepted(accept, type)))
    throw new WebError(406, 'TYPE', 'there is no answer of that type', { hint: `there is ${types.join(', ')}` });
}

function answerError(error: WebError): Response {
  const response = Response.json(errorJson(error), { status: error.status });
  if (error.retryAfter !== undefined) response.headers.set('Retry-After', String(error.retryAfter));
  if (error.status === 401) response.headers.set('WWW-Authenticate', 'Bearer');
  return response;
}

/** Logs defects, and refusals as long as they are not so many that they would fill the log. */
function errorLog({ log }: HandlerOptions): WebState['failed'] {
  const told = new PerSecond(MOST_TOLD);
  let untold = 0;
  return (request, peer, error) => {
    const { status } = toWebError(error);
    const entry = { ...loggedRequest(request, peer), status };
    if (status === 500)
      log?.({ what: 'error', ...entry, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    if (status !== 401 && status !== 403 && status !== 421 && status !== 429) return;
    if (!told.take()) {
      untold++;
      return;
    }
    log?.({ what: 'refused', ...entry, ...(untold > 0 ? { untold } : {}) });
    untold = 0;
  };
}

/** Whether a path is of a pattern such as `/a/:b`. */
function matchesPath(pattern: string, path: string): boolean {
  const [parts, given] = [pattern.split('/'), path.split('/')];
  return parts.length === given.length && parts.every((part, n) => part.startsWith(':') || part === given[n]);
}
