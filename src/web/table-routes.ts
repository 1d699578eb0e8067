// Answers about the table as a whole: its state, groups, series, counters, expectations; and about filters.

import { FilterError } from '../errors.js';
import { completeFilter, explainFilter, formatFilter, matches, parseFilter } from '../library/index.js';
import { GROUP_SORTS, type GroupingName, type GroupSort, MINUTE_GROUPINGS, MINUTE_SORTS } from '../meter/index.js';
import { seriesJson } from './news.js';
import { JSON_TYPE, knownNamespace, MOST_EXPORTS, MOST_ROWS, namespaceOf, type RouteContext, wordOf } from './route-context.js';
import { WebError } from './web-error.js';

/** Seconds beyond three intervals after which a list is late. */
const LATE = 10;

export function readiness({ attention, meter }: RouteContext): Response {
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

export function status({ meter, options, name, record, role, streams }: RouteContext): Response {
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

export async function groups(context: RouteContext): Promise<Response> {
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

export function series({ meter, values }: RouteContext): Response {
  return Response.json(seriesJson(meter, values.whole('seconds', 1, 86_400) ?? 600));
}

export async function statistics(context: RouteContext): Promise<Response> {
  return Response.json(await namespaceOf(context, context.values.text('netns')).statistics());
}

export async function expectations(context: RouteContext): Promise<Response> {
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

export function aboutFilter({ values }: RouteContext): Response {
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
