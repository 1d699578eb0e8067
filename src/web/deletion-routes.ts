// Deletions that were asked for: what they name, who asks, and what comes of them.

import { ClosedError } from '../errors.js';
import { formatFilter } from '../library/index.js';
import type { DeletionTarget, FlowDeletion, MeteredFlow } from '../meter/index.js';
import { plainAddress } from './auth.js';
import type { AskedDeletion } from './deletions.js';
import { decodeKey, isKey } from './flow-keys.js';
import { flowNamed, meteredBy } from './named-flows.js';
import { bodyOf } from './request-values.js';
import { knownNamespace, loggedRequest, type RouteContext } from './route-context.js';
import { WebError } from './web-error.js';
import { flowAnswer } from './web-flows.js';
import type { Peer } from './web-options.js';

const MOST_KEYS = 1000;

/** The filter that all flows match. */
const EVERYTHING = 'all';

export async function deleteFlow(context: RouteContext): Promise<Response> {
  const parts = decodeKey(context.parameter('key'));
  const target = { flows: [await flowNamed(context, parts, meteredBy(context, [parts]))] };
  return Response.json(await runDeletion(context, { target, what: '', who: '' }, undefined, 1));
}

export async function deletion(context: RouteContext): Promise<Response> {
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
