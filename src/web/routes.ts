// What can be asked, a row each: method and path, who may, which parameters there are, and the answer.

import { setImmediate as turn } from 'node:timers/promises';
import { EVENT_TYPES, type EventType } from '../ctnetlink/event.js';
import { explainFlow } from '../doctor/index.js';
import { ClosedError, FilterError, ValueError } from '../errors.js';
import { type Conntrack, completeFilter, explainFilter, formatFilter, matches, parseFilter } from '../library/index.js';
import {
  type DeletionTarget,
  FLOW_SORTS,
  type FlowDeletion,
  type FlowMeter,
  GROUP_SORTS,
  type GroupingName,
  type GroupSort,
  type MeteredFlow,
  MINUTE_GROUPINGS,
  MINUTE_SORTS,
} from '../meter/index.js';
import { findAsset } from './assets.js';
import type { Attention } from './attention.js';
import { hostOfAddress, isAccepted, plainAddress } from './auth.js';
import type { AskedDeletion, Deletions } from './deletions.js';
import type { EventFeeds, FeedQuestion } from './event-feeds.js';
import { decodeKey, type FlowKeyParts, isKey, isNamed } from './flow-keys.js';
import { flowStream } from './flow-stream.js';
import type { HeldRows } from './held-rows.js';
import { type News, seriesJson } from './news.js';
import type { OpenStreams } from './open-streams.js';
import { bodyOf, type QueryValues } from './request-values.js';
import type { SharedAnswers } from './shared-answers.js';
import type { Walks } from './walks.js';
import type { WebDoctor } from './web-doctor.js';
import { WebError } from './web-error.js';
import { flowAnswer, waysOf } from './web-flows.js';
import type { WebMetrics } from './web-metrics.js';
import type { HandlerOptions, LogEntry, Peer, Role } from './web-options.js';
import type { WebRecord } from './web-record.js';
import type { WebTimes } from './web-times.js';

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
  readonly explanations: { open: number };
  readonly doctor: WebDoctor;
  readonly streams: OpenStreams;
  readonly attention: Attention;
  readonly record: WebRecord;
  readonly answers: SharedAnswers;
  readonly held: HeldRows;
  readonly metrics: WebMetrics;
  readonly feeds: EventFeeds;
  readonly times: WebTimes;
  /** Logs what nobody waits for. */
  readonly failed: (request: Request, peer: Peer | undefined, error: unknown) => void;
}

export interface RouteContext extends WebState {
  readonly request: Request;
  /** The query. */
  readonly values: QueryValues;
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
  /** Of the query. */
  readonly parameters: readonly string[];
  /** Types of the answer, of which one must be wanted. Default JSON, or any where everybody may ask. */
  readonly types?: readonly string[];
  /** There when nothing but metrics is served. */
  readonly metrics?: true;
  /** One line, for openapi.json. */
  readonly about: string;
  readonly run: (context: RouteContext) => Response | Promise<Response>;
}

const MOST_ROWS = 1000;
const MOST_NUMBERS = 200;
const MOST_EXPORTS = 4;
/** Each may take a second, and looks through the processes of this machine. */
const MOST_EXPLANATIONS = 4;
/** Rows of an export that are made at a time: others are answered in between. */
const EXPORTED = 200;
/** Events that may wait to be encoded. */
const MOST_WAITING = 4096;
const API = '/api/v1';
export const JSON_TYPE = 'application/json';
const NDJSON = 'application/x-ndjson';
const EVENT_STREAM = 'text/event-stream';

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
    path: '/metrics',
    role: 'read',
    parameters: [],
    types: ['text/plain', 'application/openmetrics-text'],
    metrics: true,
    about: 'Metrics, as Prometheus reads them.',
    run: ({ metrics, request }) => metrics.answer(request.headers.get('accept')),
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
    parameters: ['filter', 'netns', 'sort', 'reverse', 'offset', 'limit', 'cursor', 'hold', 'leastRate', 'numbers'],
    types: [JSON_TYPE, NDJSON],
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
  {
    method: 'GET',
    path: `${API}/flows/:key/explanation`,
    role: 'read',
    parameters: [],
    about: 'As conntrack explain.',
    run: explanation,
  },
  {
    method: 'GET',
    path: `${API}/flows/:key/past`,
    role: 'read',
    parameters: [],
    about: 'Earlier flows between the same ends and ports, from a record.',
    run: async ({ parameter, record, request }) => Response.json(await record.lives(decodeKey(parameter('key')), request.signal)),
  },
  { method: 'DELETE', path: `${API}/flows/:key`, role: 'change', parameters: [], about: 'Deletes one flow.', run: deleteFlow },
  {
    method: 'GET',
    path: `${API}/groups`,
    role: 'read',
    parameters: ['by', 'filter', 'netns', 'sort', 'reverse', 'offset', 'limit', 'at'],
    about: 'Groups of flows; with at, those of a minute of the past.',
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
    path: `${API}/doctor`,
    role: 'read',
    parameters: [],
    about: 'As conntrack doctor, at most 30 seconds old.',
    run: async ({ doctor }) => Response.json(await doctor.ask()),
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
    types: [EVENT_STREAM],
    about: 'Server-sent events: samples, counts, deletions.',
    run: ({ news, request, peer }) => eventStream(news.open(request.headers.get('last-event-id'), peer)),
  },
  {
    method: 'GET',
    path: `${API}/events`,
    role: 'read',
    parameters: ['filter', 'types', 'netns'],
    types: [EVENT_STREAM],
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

function readiness({ attention, meter }: RouteContext): Response {
  const { failure, status: now, sample } = meter;
  const limit = (3 * now.interval) / 1000 + LATE;
  const reasons = [
    ...(failure === undefined ? [] : ['the meter has ended']),
    ...(sample.namespaces.length === 0 ? ['the network namespace is gone'] : []),
    // Where lists were rare because nobody looked, the next one is on its way.
    ...(Math.min(Date.now() - sample.at, attention.watchedFor) / 1000 > limit ? ['the last list is too old'] : []),
  ];
  return reasons.length === 0
    ? new Response('ok\n')
    : new Response(`${reasons.join('\n')}\n`, { status: 503, headers: { 'Retry-After': '5' } });
}

function status({ meter, options, name, record, role, streams }: RouteContext): Response {
  const { namespaces } = meter.sample;
  return Response.json({
    version: options.version,
    host: name,
    changes: role === 'change' && options.allowChanges === true,
    scope: options.scope,
    namespaces,
    ...meter.status,
    record: record.isThere,
    age: Math.max(0, Date.now() - meter.sample.at) / 1000,
    limits: { rows: MOST_ROWS, streams: streams.most, exports: MOST_EXPORTS },
  });
}

async function flows(context: RouteContext): Promise<Response> {
  const { meter, epoch, request, values, walks } = context;
  if (values.has('numbers')) return byNumber(context);
  const filter = values.text('filter');
  const sort = wordOf(values, 'sort', FLOW_SORTS);
  const limit = values.whole('limit', 0, MOST_ROWS) ?? 50;
  const offset = values.whole('offset', 0, 1e9);
  const hold = values.flag('hold');
  const netns = knownNamespace(context, values.text('netns'));
  const asked = { filter, netns, sort, reverse: values.flag('reverse'), leastRate: values.number('leastRate', 0, 1e15) };
  const accept = request.headers.get('accept');
  if (accept?.toLowerCase().includes(NDJSON) && isAccepted(accept, NDJSON)) return exported(context, await meter.numbers(asked));
  const cursor = values.text('cursor');
  if (values.has('cursor')) {
    if (limit === 0) throw new WebError(400, 'VALUE', 'limit must be at least 1 with a cursor');
    const page = walks.next(cursor ?? walks.begin(await meter.numbers(asked)), limit);
    const found = meter.getMany(page.numbers).filter((flow) => flow !== undefined);
    return Response.json({
      sample: meter.sample.number,
      matched: page.total,
      ...(page.next === undefined ? {} : { next: page.next }),
      flows: found.map((flow) => flowAnswer(flow, epoch)),
    });
  }
  const tag = tagOf(context, meter.sample.number);
  // What is held is fresher than the sample.
  if (!hold && request.headers.get('if-none-match') === tag) return new Response(null, { status: 304, headers: { ETag: tag } });
  const { sample, bytes } = await context.answers.ask(context.request.url, meter.sample.number, async () => {
    const answer = await meter.flows({ ...asked, offset, limit });
    if (hold) context.held.hold(answer.flows.map(({ number }) => number));
    return { ...answer, flows: answer.flows.map((flow) => flowAnswer(flow, epoch)) };
  });
  return new Response(bytes, { headers: { 'Content-Type': JSON_TYPE, ETag: tagOf(context, sample) } });
}

/** Those of some flows that live, in this order. */
function byNumber({ epoch, held, meter, values }: RouteContext): Response {
  const other = ['filter', 'netns', 'sort', 'reverse', 'offset', 'limit', 'cursor', 'leastRate'].find((name) => values.has(name));
  if (other !== undefined) throw new WebError(400, 'VALUE', `flows by their numbers have no ${other}`);
  const texts = values.text('numbers')?.split(',') ?? [''];
  if (texts.length > MOST_NUMBERS || !texts.every((text) => /^\d{1,10}$/.test(text)))
    throw new WebError(400, 'VALUE', `numbers must be at most ${MOST_NUMBERS} numbers of flows, with commas between them`);
  const flows = meter.getMany(texts.map(Number)).filter((flow) => flow !== undefined);
  if (values.flag('hold')) held.hold(flows.map(({ number }) => number));
  const { number: sample, at } = meter.sample;
  return Response.json({ sample, at, flows: flows.map((flow) => flowAnswer(flow, epoch)) });
}

/** Of the answers of a sample. */
function tagOf({ epoch }: WebState, sample: number): string {
  return `"${epoch}-${sample}"`;
}

/** All flows, a line each, at the pace of the reader. */
function exported({ meter, epoch, exports, peer, times }: RouteContext, numbers: Uint32Array): Response {
  if (exports.open >= MOST_EXPORTS)
    throw new WebError(503, 'TOO_MANY_EXPORTS', `${MOST_EXPORTS} exports are under way`, { retryAfter: 5 });
  exports.open++;
  let at = 0;
  let open = true;
  const close = () => {
    if (open) exports.open--;
    open = false;
    clearTimeout(timer);
  };
  let giveUp = () => {};
  const timer = setTimeout(() => giveUp(), times.patience).unref();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      // A reader that stops would keep others out.
      giveUp = () => {
        close();
        if (peer?.cut) peer.cut();
        else controller.error(new Error('the reader took nothing'));
      };
    },
    pull: async (controller) => {
      timer.refresh();
      await turn(); // a fast reader would keep others waiting to the end
      if (!open) return;
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
  return new Response(body, { headers: { 'Content-Type': NDJSON } });
}

async function oneFlow(context: RouteContext): Promise<Response> {
  const parts = decodeKey(context.parameter('key'));
  const metered = await flowNamed(context, parts, meteredBy(context, [parts]));
  const { flow } = metered;
  const conntrack = namespaceOf(context, parts.netns);
  const expected = (await conntrack.expectations.list().toArray()).filter(({ master }) => sameTuple(master, flow.original));
  return Response.json({
    key: context.parameter('key'),
    ...metered,
    nat: waysOf(flow),
    ...(expected.length > 0 ? { expected } : {}),
  });
}

async function explanation(context: RouteContext): Promise<Response> {
  const { explanations, request } = context;
  const parts = decodeKey(context.parameter('key'));
  const { flow } = await flowNamed(context, parts, meteredBy(context, [parts]));
  if (explanations.open >= MOST_EXPLANATIONS)
    throw new WebError(503, 'TOO_MANY_EXPLANATIONS', `${MOST_EXPLANATIONS} flows are being explained`, { retryAfter: 1 });
  explanations.open++;
  try {
    const { netns } = parts;
    return Response.json(await explainFlow(namespaceOf(context, netns), flow, { netns, signal: request.signal }));
  } catch (error) {
    if (error instanceof ValueError) throw ended();
    throw error;
  } finally {
    explanations.open--;
  }
}

function ended(): WebError {
  return new WebError(404, 'NOT_FOUND', 'this flow has ended');
}

/** What the meter knows of the flows of keys that it made, by their numbers. */
function meteredBy({ meter, epoch }: RouteContext, keys: readonly FlowKeyParts[]): ReadonlyMap<number, MeteredFlow> {
  const numbers = keys.filter((parts) => parts.epoch === epoch).map(({ number }) => number);
  return new Map(meter.getMany(numbers).flatMap((flow) => (flow ? [[flow.number, flow]] : [])));
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
  const target = { flows: [await flowNamed(context, parts, meteredBy(context, [parts]))] };
  return Response.json(await runDeletion(context, { target, what: '', who: '' }, undefined, 1));
}

/** The flow of a key as it is now, if it is the one that the key was made for, and is served. @throws WebError 404 */
async function flowNamed(
  context: RouteContext,
  parts: FlowKeyParts,
  known: ReadonlyMap<number, MeteredFlow>,
): Promise<MeteredFlow> {
  const { epoch, options } = context;
  const metered = parts.epoch === epoch ? known.get(parts.number) : undefined;
  // Where the kernel keeps no times, a new flow with the same tuple and the same id is told by the meter, which saw the old one end.
  const hasEnded = parts.epoch === epoch && !isSameFlow(metered, parts);
  const flow = hasEnded ? undefined : await namespaceOf(context, parts.netns).get(parts.key);
  if (!flow || !isNamed(parts, flow) || (options.scope !== undefined && !matches(options.scope, flow))) throw ended();
  return {
    number: parts.number,
    age: 0,
    counters: 'none',
    ...metered,
    flow,
    ...(parts.netns === undefined ? {} : { netns: parts.netns }),
  };
}

/** Whether the number of a key is that of the flow that the rest of the key says. */
function isSameFlow(metered: MeteredFlow | undefined, { key, netns }: FlowKeyParts): metered is MeteredFlow {
  if (!metered || metered.netns !== netns) return false;
  const { id, original } = metered.flow;
  return key.id === id && key.original !== undefined && sameTuple(key.original, original);
}

const MOST_KEYS = 1000;

async function deletion(context: RouteContext): Promise<Response> {
  const body = await bodyOf(context.request);
  const { filter, netns, flows: keys, all, dryRun, confirm, max, ...others } = body;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new WebError(400, 'VALUE', `there is no member ${JSON.stringify(unknown.slice(0, 40))} here`);
  for (const [name, value] of Object.entries({ all, dryRun }))
    if (value !== undefined && typeof value !== 'boolean') throw new WebError(400, 'VALUE', `${name} must be true or false`);
  if (confirm !== undefined && typeof confirm !== 'string') throw new WebError(400, 'VALUE', 'confirm must be a string');
  if (max !== undefined && !(Number.isSafeInteger(max) && (max as number) >= 0))
    throw new WebError(400, 'VALUE', 'max must be a whole number');
  if (dryRun === true && confirm !== undefined)
    throw new WebError(400, 'VALUE', 'dryRun deletes nothing: there is nothing to confirm');
  if (netns !== undefined && (typeof netns !== 'string' || keys !== undefined))
    throw new WebError(400, 'VALUE', 'netns must be a text, without flows');
  const target = await targetOf(context, filter, knownNamespace(context, netns), keys, all === true);
  const what = JSON.stringify('filter' in target ? target : keys);
  const asked: AskedDeletion = { target, what, who: whoAsks(context) };
  if (dryRun === true) {
    const { plan, confirm: word, expires } = await context.deletions.plan(deletionBy(context), asked);
    return Response.json({
      matched: plan.count,
      largest: plan.largest.map((flow) => flowAnswer(flow, context.epoch)),
      warnings: plan.warnings,
      confirm: word,
      expires: new Date(expires).toISOString(),
    });
  }
  return Response.json(await runDeletion(context, asked, confirm, max as number | undefined));
}

/** What confirms a deletion is good for the same token. */
function whoAsks({ request }: RouteContext): string {
  return request.headers.get('authorization') ?? '';
}

async function targetOf(
  context: RouteContext,
  filter: unknown,
  netns: string | undefined,
  keys: unknown,
  all: boolean,
): Promise<DeletionTarget> {
  if (filter !== undefined && typeof filter !== 'string') throw new WebError(400, 'VALUE', 'filter must be a text');
  if (keys !== undefined) {
    if (!Array.isArray(keys) || keys.length > MOST_KEYS || filter !== undefined || all)
      throw new WebError(400, 'VALUE', `flows must be an array of at most ${MOST_KEYS} keys, without a filter`);
    return { flows: await flowsOf(context, keys) };
  }
  const canonical = filter === undefined || filter.trim() === '' ? EVERYTHING : formatFilter(filter);
  if (canonical === EVERYTHING && !all)
    throw new WebError(400, 'VALUE', 'a deletion needs a filter or flows', { hint: 'all: true is the whole table' });
  return { filter: canonical, netns };
}

/** The filter that all flows match. */
const EVERYTHING = 'all';

/** The flows of keys that are still there, each once. @throws WebError 400 */
async function flowsOf(context: RouteContext, keys: readonly unknown[]): Promise<MeteredFlow[]> {
  const wrong = keys.findIndex((key) => typeof key !== 'string' || !isKey(key));
  if (wrong >= 0) throw new WebError(400, 'VALUE', `flows[${wrong}] is no key of a flow`);
  const parts = [...new Set(keys as readonly string[])].map(decodeKey);
  const known = meteredBy(context, parts);
  const flows: MeteredFlow[] = [];
  for (const one of parts) {
    try {
      flows.push(await flowNamed(context, one, known));
    } catch (error) {
      if (!(error instanceof WebError && error.status === 404)) throw error; // it has ended already
    }
  }
  return flows;
}

/** Deletions of whoever asks: they keep the flow of that connection. */
function deletionBy({ deletionsFor, peer }: RouteContext): FlowDeletion {
  return deletionsFor(keptBy(peer));
}

/** All flows but that of a connection, seen from either side. */
function keptBy(peer: Peer | undefined): string | undefined {
  if (!peer || peer.address === '') return undefined;
  const [client, server] = [plainAddress(peer.address), plainAddress(peer.localAddress)];
  return formatFilter(
    `not (tcp and src ${client} and src port ${peer.port} and dst ${server} and dst port ${peer.localPort}) and ` +
      `not (tcp and reply src ${server} and reply src port ${peer.localPort} and reply dst ${client} and reply dst port ${peer.port})`,
  );
}

async function runDeletion(
  context: RouteContext,
  asked: AskedDeletion,
  confirm: string | undefined,
  max: number | undefined,
): Promise<object> {
  const { news, options, request, role, peer, times } = context;
  const deletion = deletionBy(context);
  const { plan, matched, result } = await context.deletions.run(deletion, asked, confirm, max);
  const { deleted, alreadyGone, failed } = result;
  // As it was asked for: that the asking connection is kept goes without saying.
  const what = wordsOf(asked.target);
  context.metrics.deleted(role, deleted);
  news.tell('deletion', { ...what, deleted, alreadyGone, failed });
  options.log?.({
    what: 'deletion',
    ...loggedRequest(request, peer),
    status: 200,
    ...(role ? { role } : {}),
    ...what,
    deleted,
    failed,
  });
  setTimeout(async () => {
    try {
      news.tell('deletion', { ...what, deleted, alreadyGone, failed, cameBack: await deletion.cameBack(plan, result) });
    } catch (error) {
      if (!(error instanceof ClosedError)) context.failed(request, peer, error);
    }
  }, times.cameBack).unref();
  return { matched, deleted, alreadyGone, failed };
}

/** What a log and the stream say of a deletion. */
function wordsOf(target: DeletionTarget): { readonly filter?: string; readonly netns?: string } {
  if ('flows' in target) return {};
  const { filter, netns } = target;
  return { filter: formatFilter(filter), ...(netns === undefined ? {} : { netns }) };
}

/** What a log says of a request. */
export function loggedRequest(request: Request, peer: Peer | undefined): Pick<LogEntry, 'method' | 'path' | 'peer'> {
  const { pathname } = new URL(request.url);
  const from = peer && (peer.client ?? (peer.address === '' ? 'local' : `${hostOfAddress(peer.address)}:${peer.port}`));
  return { method: request.method, path: pathname, ...(from === undefined ? {} : { peer: from }) };
}

async function groups(context: RouteContext): Promise<Response> {
  const { meter, values } = context;
  if (values.has('at')) return Response.json(await minute(context));
  const by = (values.text('by') ?? 'src') as GroupingName;
  const sort: GroupSort | undefined = wordOf(values, 'sort', GROUP_SORTS);
  const query = {
    by,
    filter: values.text('filter'),
    netns: knownNamespace(context, values.text('netns')),
    sort,
    reverse: values.flag('reverse'),
    offset: values.whole('offset', 0, 1e9),
    limit: values.whole('limit', 0, MOST_ROWS),
  };
  const { bytes } = await context.answers.ask(context.request.url, meter.sample.number, async () => ({
    by,
    ...(await meter.groups(query)),
  }));
  return new Response(bytes, { headers: { 'Content-Type': JSON_TYPE } });
}

/** Who had most in a minute of the past, of all flows. */
async function minute({ meter, record, values }: RouteContext): Promise<object> {
  const other = ['filter', 'netns', 'reverse', 'offset'].find((name) => values.has(name));
  if (other !== undefined) throw new WebError(400, 'VALUE', `a minute of the past has no ${other}`);
  const at = values.number('at', 0, 1e11);
  if (at === undefined) throw new WebError(400, 'VALUE', 'at is a time in seconds since the epoch');
  const by = wordOf(values, 'by', MINUTE_GROUPINGS) ?? 'src';
  const sort = wordOf(values, 'sort', MINUTE_SORTS) ?? 'average';
  const limit = values.whole('limit', 0, MOST_ROWS) ?? 20;
  const found = meter.minute({ at, by, sort, limit });
  if (found) return { from: 'memory', ...found };
  if (!record.isThere || at > Date.now() / 1000) throw new WebError(404, 'NOT_FOUND', 'nothing is remembered of that minute');
  return { from: 'record', ...(await record.minute(at, by, sort, limit)) };
}

function series({ meter, values }: RouteContext): Response {
  return Response.json(seriesJson(meter, values.whole('seconds', 1, 86_400) ?? 600));
}

async function statistics(context: RouteContext): Promise<Response> {
  return Response.json(await namespaceOf(context, context.values.text('netns')).statistics());
}

async function expectations(context: RouteContext): Promise<Response> {
  const { options, values } = context;
  const conntrack = namespaceOf(context, values.text('netns'));
  const all = await conntrack.expectations.list().toArray();
  if (options.scope === undefined) return Response.json(all);
  const served: object[] = [];
  for (const expectation of all) {
    const { master, zone } = expectation;
    const flow = await conntrack.get(zone === undefined ? { original: master } : { original: master, zone });
    if (flow && matches(options.scope, flow)) served.push(expectation);
  }
  return Response.json(served);
}

function aboutFilter({ values }: RouteContext): Response {
  const text = values.text('text') ?? '';
  const cursor = values.whole('cursor', 0, text.length) ?? text.length;
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

function eventStream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'Content-Type': EVENT_STREAM, 'X-Accel-Buffering': 'no' } });
}

/** A table by its name; without a name the only one, or the first. @throws WebError 404 */
function namespaceOf({ conntracks }: WebState, name: string | undefined): Conntrack {
  const found = name === undefined ? [...conntracks.values()][0] : conntracks.get(name);
  if (!found) throw new WebError(404, 'NOT_FOUND', 'there is no such network namespace');
  return found;
}

/** A name of a table, if one is given. @throws WebError 404 */
function knownNamespace(state: WebState, name: string | undefined): string | undefined {
  if (name !== undefined) namespaceOf(state, name);
  return name;
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
