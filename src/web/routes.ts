// What can be asked, a row each: method and path, who may, which parameters there are, and the answer.

import { EVENT_TYPES, type EventType } from '../ctnetlink/event.js';
import { ConntrackError, FilterError } from '../errors.js';
import { type Conntrack, completeFilter, explainFilter, formatFilter, parseFilter } from '../library/index.js';
import {
  type DeletionTarget,
  FLOW_SORTS,
  type FlowDeletion,
  type FlowMeter,
  GROUP_SORTS,
  type GroupingName,
  type GroupSort,
  type MeteredFlow,
} from '../meter/index.js';
import { findAsset } from './assets.js';
import type { Role } from './auth.js';
import type { Deletions } from './deletions.js';
import { decodeKey, type FlowKeyParts, isNamed } from './flow-keys.js';
import { flowStream } from './flow-stream.js';
import { type News, seriesJson } from './news.js';
import { bodyOf, QueryValues } from './request-values.js';
import type { Walks } from './walks.js';
import { WebError } from './web-error.js';
import { flowAnswer, waysOf } from './web-flows.js';
import type { HandlerOptions, Peer } from './web-options.js';

/** What all requests share. */
export interface WebState {
  readonly options: HandlerOptions;
  readonly meter: FlowMeter;
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  readonly epoch: string;
  readonly name: string;
  readonly news: News;
  readonly walks: Walks;
  /** `kept`: a filter of the flows that may go. */
  readonly deletionsFor: (kept: string | undefined) => FlowDeletion;
  readonly deletions: Deletions;
  readonly exports: { open: number };
  readonly streams: { open: number; readonly most: number };
}

export interface RouteContext extends WebState {
  readonly request: Request;
  readonly url: URL;
  readonly role: Role | undefined;
  readonly peer: Peer | undefined;
  /** A part of the path. */
  readonly parameter: (name: string) => string;
}

export interface RouteRow {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** `open`: everybody. */
  readonly role: Role | 'open';
  /** Of the query, without `netns`. */
  readonly parameters: readonly string[];
  /** There when nothing but metrics is served. */
  readonly metrics?: true;
  /** One line, for openapi.json. */
  readonly about: string;
  readonly run: (context: RouteContext) => Response | Promise<Response>;
}

const MOST_ROWS = 1000;
const MOST_EXPORTS = 4;
/** Rows of an export that are made at a time. */
const EXPORTED = 500;
const API = '/api/v1';

export const ROUTES: readonly RouteRow[] = [
  { method: 'GET', path: '/', role: 'open', parameters: [], about: 'The page.', run: (context) => asset(context, 'index.html') },
  {
    method: 'GET',
    path: '/assets/:name',
    role: 'open',
    parameters: [],
    about: 'What the page is made of.',
    run: (context) => asset(context, context.parameter('name')),
  },
  {
    method: 'GET',
    path: '/favicon.svg',
    role: 'open',
    parameters: [],
    about: 'The icon.',
    run: (context) => asset(context, 'favicon.svg'),
  },
  {
    method: 'GET',
    path: '/healthz',
    role: 'open',
    parameters: [],
    metrics: true,
    about: 'The server answers.',
    run: () => new Response('ok\n'),
  },
  {
    method: 'GET',
    path: '/readyz',
    role: 'open',
    parameters: [],
    metrics: true,
    about: 'The table is followed.',
    run: readiness,
  },
  {
    method: 'GET',
    path: `${API}/status`,
    role: 'read',
    parameters: [],
    about: 'Namespaces, sysctls, notices, limits.',
    run: status,
  },
  {
    method: 'GET',
    path: `${API}/flows`,
    role: 'read',
    parameters: ['filter', 'sort', 'reverse', 'offset', 'limit', 'cursor', 'hold', 'leastRate'],
    about: 'Flows with their rates; all of them with Accept: application/x-ndjson.',
    run: flows,
  },
  {
    method: 'GET',
    path: `${API}/flows/:key`,
    role: 'read',
    parameters: [],
    about: 'One flow, asked of the kernel now.',
    run: oneFlow,
  },
  { method: 'DELETE', path: `${API}/flows/:key`, role: 'change', parameters: [], about: 'Deletes one flow.', run: deleteFlow },
  {
    method: 'GET',
    path: `${API}/groups`,
    role: 'read',
    parameters: ['by', 'filter', 'sort', 'reverse', 'offset', 'limit'],
    about: 'Groups of flows.',
    run: groups,
  },
  { method: 'GET', path: `${API}/series`, role: 'read', parameters: ['seconds'], about: 'What the samples said.', run: series },
  { method: 'GET', path: `${API}/statistics`, role: 'read', parameters: ['netns'], about: 'As conntrack -S.', run: statistics },
  {
    method: 'GET',
    path: `${API}/expectations`,
    role: 'read',
    parameters: ['netns'],
    about: 'As conntrack -L expect.',
    run: expectations,
  },
  {
    method: 'GET',
    path: `${API}/filter`,
    role: 'read',
    parameters: ['text', 'cursor'],
    about: 'Whether a filter is right, how it can go on, what it means.',
    run: aboutFilter,
  },
  {
    method: 'POST',
    path: `${API}/deletions`,
    role: 'change',
    parameters: [],
    about: 'Deletes flows, in two steps.',
    run: deletion,
  },
  {
    method: 'GET',
    path: `${API}/stream`,
    role: 'read',
    parameters: [],
    about: 'Server-sent events: samples, counts, deletions.',
    run: ({ news, request }) => eventStream(news.open(request.headers.get('last-event-id'))),
  },
  {
    method: 'GET',
    path: `${API}/events`,
    role: 'read',
    parameters: ['filter', 'types', 'netns'],
    about: 'Server-sent events: as conntrack -E -o ndjson.',
    run: events,
  },
  {
    method: 'GET',
    path: `${API}/openapi.json`,
    role: 'open',
    parameters: [],
    about: 'This list.',
    run: () => Response.json(openApi()),
  },
];

function query({ url }: RouteContext, names: readonly string[]): QueryValues {
  return new QueryValues(url.searchParams, names);
}

function asset({ request }: RouteContext, name: string): Response {
  const found = findAsset(name, request.headers.get('accept-encoding') ?? '');
  if (!found) throw new WebError(404, 'NOT_FOUND', 'there is no such file');
  const { bytes, type, encoding, immutable } = found;
  const response = new Response(bytes, { headers: { 'Content-Type': type, Vary: 'Accept-Encoding' } });
  if (encoding !== undefined) response.headers.set('Content-Encoding', encoding);
  response.headers.set('Cache-Control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  return response;
}

/** Seconds beyond three intervals after which a list is late. */
const LATE = 10;

function readiness({ meter }: RouteContext): Response {
  const { failure, status: now, sample } = meter;
  const limit = (3 * now.interval) / 1000 + LATE;
  const reasons = [
    ...(failure === undefined ? [] : ['the meter has ended']),
    ...((Date.now() - sample.at) / 1000 > limit ? ['the last list is too old'] : []),
  ];
  return reasons.length === 0
    ? new Response('ok\n')
    : new Response(`${reasons.join('\n')}\n`, { status: 503, headers: { 'Retry-After': '5' } });
}

function status({ meter, options, name, role }: RouteContext): Response {
  const { namespaces } = meter.sample;
  return Response.json({
    version: options.version,
    host: name,
    changes: role === 'change' && options.allowChanges === true,
    scope: options.scope,
    namespaces,
    ...meter.status,
    limits: { rows: MOST_ROWS, streams: options.maxStreams ?? 64, exports: MOST_EXPORTS },
  });
}

async function flows(context: RouteContext): Promise<Response> {
  const { meter, epoch, request, walks } = context;
  const values = query(context, ['filter', 'sort', 'reverse', 'offset', 'limit', 'cursor', 'hold', 'leastRate']);
  const filter = values.text('filter');
  const sort = wordOf(values, 'sort', FLOW_SORTS);
  const limit = values.number('limit', 0, MOST_ROWS) ?? 50;
  const asked = { filter, sort, reverse: values.flag('reverse'), leastRate: values.number('leastRate', 0, 1e15) };
  if (/\bapplication\/x-ndjson\b/.test(request.headers.get('accept') ?? '')) return exported(context, await meter.numbers(asked));
  const cursor = values.text('cursor');
  if (values.has('cursor')) {
    const page = walks.next(cursor ?? walks.begin(await meter.numbers(asked)), limit);
    const found = meter.getMany(page.numbers).filter((flow) => flow !== undefined);
    return Response.json({
      sample: meter.sample.number,
      matched: page.total,
      ...(page.next === undefined ? {} : { next: page.next }),
      flows: found.map((flow) => flowAnswer(flow, epoch)),
    });
  }
  const tag = `"${epoch}-${meter.sample.number}"`;
  if (request.headers.get('if-none-match') === tag) return new Response(null, { status: 304, headers: { ETag: tag } });
  const answer = await meter.flows({ ...asked, offset: values.number('offset', 0, 1e9), limit });
  if (values.flag('hold')) meter.hold(answer.flows.slice(0, 64).map(({ number }) => number));
  return Response.json({ ...answer, flows: answer.flows.map((flow) => flowAnswer(flow, epoch)) }, { headers: { ETag: tag } });
}

/** All flows, a line each, at the pace of the reader. */
function exported({ meter, epoch, exports }: RouteContext, numbers: Uint32Array): Response {
  if (exports.open >= MOST_EXPORTS)
    throw new WebError(503, 'TOO_MANY_EXPORTS', `${MOST_EXPORTS} exports are under way`, { retryAfter: 5 });
  exports.open++;
  let at = 0;
  let open = true;
  const close = () => {
    if (open) exports.open--;
    open = false;
  };
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (at >= numbers.length) {
        close();
        controller.close();
        return;
      }
      const found = meter.getMany([...numbers.subarray(at, at + EXPORTED)]);
      at += EXPORTED;
      const lines = found.filter((flow) => flow !== undefined).map((flow) => `${JSON.stringify(flowAnswer(flow, epoch))}\n`);
      controller.enqueue(encoder.encode(lines.join('')));
    },
    cancel: close,
  });
  return new Response(body, { headers: { 'Content-Type': 'application/x-ndjson' } });
}

async function oneFlow(context: RouteContext): Promise<Response> {
  const { meter, epoch } = context;
  const parts = decodeKey(context.parameter('key'));
  const conntrack = namespaceOf(context, parts.netns);
  const flow = await conntrack.get(parts.key);
  if (!flow || !isNamed(parts, flow)) throw new WebError(404, 'NOT_FOUND', 'this flow has ended');
  const metered = meteredOf(meter, parts, epoch);
  const expected = (await conntrack.expectations.list().toArray()).filter(({ master }) => sameTuple(master, flow.original));
  return Response.json({
    key: context.parameter('key'),
    ...metered,
    flow,
    nat: waysOf(flow),
    ...(expected.length > 0 ? { expected } : {}),
  });
}

/** What the meter knows of a flow. */
function meteredOf(meter: FlowMeter, { number, epoch }: FlowKeyParts, now: string): MeteredFlow | undefined {
  return epoch === now ? meter.get(number) : undefined;
}

function sameTuple(
  a: {
    readonly src?: string | undefined;
    readonly dst?: string | undefined;
    readonly sport?: number | undefined;
    readonly dport?: number | undefined;
  },
  b: typeof a,
): boolean {
  return a.src === b.src && a.dst === b.dst && a.sport === b.sport && a.dport === b.dport;
}

async function deleteFlow(context: RouteContext): Promise<Response> {
  const parts = decodeKey(context.parameter('key'));
  const target = { flows: [await flowNamed(context, parts)] };
  return Response.json(await runDeletion(context, target, undefined, 1));
}

/** The flow of a key as it is now. @throws WebError 404 */
async function flowNamed(context: RouteContext, parts: FlowKeyParts): Promise<MeteredFlow> {
  const flow = await namespaceOf(context, parts.netns).get(parts.key);
  if (!flow || !isNamed(parts, flow)) throw new WebError(404, 'NOT_FOUND', 'this flow has ended');
  const metered = meteredOf(context.meter, parts, context.epoch);
  return {
    number: parts.number,
    age: 0,
    counters: 'none',
    ...metered,
    flow,
    ...(parts.netns === undefined ? {} : { netns: parts.netns }),
  };
}

const MOST_KEYS = 1000;

async function deletion(context: RouteContext): Promise<Response> {
  const body = await bodyOf(context.request);
  const { filter, flows: keys, all, dryRun, confirm, max, ...others } = body;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new WebError(400, 'VALUE', `there is no member ${JSON.stringify(unknown.slice(0, 40))} here`);
  if (confirm !== undefined && typeof confirm !== 'string') throw new WebError(400, 'VALUE', 'confirm must be a string');
  if (max !== undefined && !(Number.isInteger(max) && (max as number) >= 0))
    throw new WebError(400, 'VALUE', 'max must be a whole number');
  const target = await targetOf(context, filter, keys, all);
  if (dryRun === true) {
    const { plan, confirm: word, expires } = await context.deletions.plan(deletionBy(context), target, whoAsks(context));
    return Response.json({
      matched: plan.count,
      largest: plan.largest.map((flow) => flowAnswer(flow, context.epoch)),
      warnings: plan.warnings,
      confirm: word,
      expires: new Date(expires).toISOString(),
    });
  }
  return Response.json(await runDeletion(context, target, confirm, max as number | undefined));
}

/** What confirms a deletion is good for the same token. */
function whoAsks({ request }: RouteContext): string {
  return request.headers.get('authorization') ?? '';
}

async function targetOf(context: RouteContext, filter: unknown, keys: unknown, all: unknown): Promise<DeletionTarget> {
  if (filter !== undefined && typeof filter !== 'string') throw new WebError(400, 'VALUE', 'filter must be a text');
  if (keys !== undefined) {
    if (!Array.isArray(keys) || keys.length > MOST_KEYS || filter !== undefined)
      throw new WebError(400, 'VALUE', `flows must be an array of at most ${MOST_KEYS} keys, without a filter`);
    const flows: MeteredFlow[] = [];
    for (const key of keys) {
      try {
        flows.push(await flowNamed(context, decodeKey(String(key))));
      } catch (error) {
        if (!(error instanceof WebError && error.status === 404)) throw error; // it has ended already
      }
    }
    return { flows };
  }
  if (filter !== undefined && filter.trim() !== '') return { filter: formatFilter(filter) };
  if (all !== true)
    throw new WebError(400, 'VALUE', 'a deletion needs a filter or flows', { hint: 'all: true is the whole table' });
  return { filter: 'all' };
}

/** Deletions of whoever asks: they keep the flow of that connection. */
function deletionBy({ deletionsFor, peer }: RouteContext): FlowDeletion {
  return deletionsFor(keptBy(peer));
}

/** All flows but that of a connection, seen from either side. */
function keptBy(peer: Peer | undefined): string | undefined {
  if (!peer || peer.address === '') return undefined;
  const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*/, '');
  const [client, server] = [plain(peer.address), plain(peer.localAddress)];
  return formatFilter(
    `not (tcp and src ${client} and src port ${peer.port} and dst ${server} and dst port ${peer.localPort}) and ` +
      `not (tcp and reply src ${server} and reply src port ${peer.localPort} and reply dst ${client} and reply dst port ${peer.port})`,
  );
}

/** Milliseconds after which one looks what came back. */
const CAME_BACK_AFTER = 5000;

async function runDeletion(
  context: RouteContext,
  target: DeletionTarget,
  confirm: string | undefined,
  max: number | undefined,
): Promise<object> {
  const { news, options, request, role, peer, url } = context;
  const deletion = deletionBy(context);
  const { plan, result } = await context.deletions.run(deletion, target, whoAsks(context), confirm, max);
  const { deleted, alreadyGone, failed } = result;
  const what = 'filter' in plan.target ? { filter: plan.target.filter } : {};
  news.tell('deletion', { ...what, deleted, alreadyGone, failed });
  options.log?.({
    what: 'deletion',
    method: request.method,
    path: url.pathname,
    status: 200,
    ...(peer ? { peer: `${peer.address}:${peer.port}` } : {}),
    ...(role === undefined ? {} : { role }),
    ...what,
    deleted,
    failed,
  });
  setTimeout(async () => {
    try {
      news.tell('deletion', { ...what, deleted, alreadyGone, failed, cameBack: await deletion.cameBack(plan, result) });
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error; // the meter has ended meanwhile
    }
  }, CAME_BACK_AFTER).unref();
  return { matched: plan.count, deleted, alreadyGone, failed };
}

async function groups(context: RouteContext): Promise<Response> {
  const values = query(context, ['by', 'filter', 'sort', 'reverse', 'offset', 'limit']);
  const by = (values.text('by') ?? 'src') as GroupingName;
  const sort: GroupSort | undefined = wordOf(values, 'sort', GROUP_SORTS);
  const answer = await context.meter.groups({
    by,
    filter: values.text('filter'),
    sort,
    reverse: values.flag('reverse'),
    offset: values.number('offset', 0, 1e9),
    limit: values.number('limit', 0, MOST_ROWS),
  });
  return Response.json({ by, ...answer });
}

function series(context: RouteContext): Response {
  const seconds = query(context, ['seconds']).number('seconds', 1, 86_400) ?? 600;
  return Response.json(seriesJson(context.meter, seconds));
}

async function statistics(context: RouteContext): Promise<Response> {
  return Response.json(await namespaceOf(context, query(context, ['netns']).text('netns')).statistics());
}

async function expectations(context: RouteContext): Promise<Response> {
  return Response.json(
    await namespaceOf(context, query(context, ['netns']).text('netns'))
      .expectations.list()
      .toArray(),
  );
}

function aboutFilter(context: RouteContext): Response {
  const values = query(context, ['text', 'cursor']);
  const text = values.text('text') ?? '';
  const cursor = values.number('cursor', 0, text.length) ?? text.length;
  const completions = completeFilter(text, cursor);
  if (text.trim() === '') return Response.json({ valid: true, completions });
  try {
    const canonical = formatFilter(parseFilter(text));
    return Response.json({ valid: true, canonical, explanation: explainFilter(text), completions });
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return Response.json({ valid: false, error: { ...error.toJSON(), problem: error.problem }, completions });
  }
}

function events(context: RouteContext): Response {
  const values = query(context, ['filter', 'types', 'netns']);
  const types = values.text('types')?.split(',');
  const wrong = types?.find((type) => !(EVENT_TYPES as readonly string[]).includes(type));
  if (wrong !== undefined) throw new WebError(400, 'VALUE', 'types must be some of NEW,UPDATE,DESTROY');
  const { streams } = context;
  if (streams.open >= streams.most)
    throw new WebError(503, 'TOO_MANY_STREAMS', `${streams.most} streams are open`, { retryAfter: 5 });
  const conntrack = namespaceOf(context, values.text('netns'));
  const resumed = context.request.headers.has('last-event-id');
  const stream = flowStream(conntrack, values.text('filter'), types as EventType[] | undefined, resumed, () => streams.open--);
  streams.open++;
  return eventStream(stream.body);
}

function eventStream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' } });
}

/** A table by its name; without a name the only one, or the first. @throws WebError 404 */
function namespaceOf({ conntracks }: WebState, name: string | undefined): Conntrack {
  const found = name === undefined ? [...conntracks.values()][0] : conntracks.get(name);
  if (!found) throw new WebError(404, 'NOT_FOUND', 'there is no such network namespace');
  return found;
}

function wordOf<W extends string>(values: QueryValues, name: string, words: readonly W[]): W | undefined {
  const word = values.text(name);
  if (word === undefined || (words as readonly string[]).includes(word)) return word as W | undefined;
  throw new WebError(400, 'VALUE', `${name} cannot be ${JSON.stringify(word.slice(0, 40))}`, {
    hint: `one of ${words.join(', ')}`,
  });
}

/** The API in OpenAPI 3.1. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, role, parameters, about } of ROUTES) {
    const name = path.replaceAll(/:(\w+)/g, '{$1}');
    const inPath = [...path.matchAll(/:(\w+)/g)].map(([, part]) => ({
      name: part,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }));
    const inQuery = parameters.map((parameter) => ({ name: parameter, in: 'query', schema: { type: 'string' } }));
    paths[name] = {
      ...paths[name],
      [method.toLowerCase()]: {
        summary: about,
        parameters: [...inPath, ...inQuery],
        security: role === 'open' ? [] : [{ token: [] }],
        responses: {
          200: { description: 'The answer.' },
          default: { description: 'An error: { error: { code, message, hint } }.' },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'conntrack serve', version: '1' },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    paths,
  };
}
