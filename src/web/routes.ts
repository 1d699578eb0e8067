// What can be asked, a row each: method and path, who may, which parameters there are, and the answer.

import { findAsset } from './assets.js';
import { deleteFlow, deletion } from './deletion-routes.js';
import { eventStream, events } from './event-routes.js';
import { decodeKey } from './flow-keys.js';
import { explanation, flows, oneFlow } from './flow-routes.js';
import { EVENT_STREAM, JSON_TYPE, NDJSON, type RouteContext } from './route-context.js';
import { aboutFilter, expectations, groups, readiness, series, statistics, status } from './table-routes.js';
import { WebError } from './web-error.js';
import type { Role } from './web-options.js';

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
