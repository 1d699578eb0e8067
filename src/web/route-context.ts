// What the answers to requests have in hand, and the values that several of them take.

import type { Conntrack } from '../library/index.js';
import type { FlowDeletion, FlowMeter } from '../meter/index.js';
import type { Attention } from './attention.js';
import { hostOfAddress } from './auth.js';
import type { Deletions } from './deletions.js';
import type { EventFeeds } from './event-feeds.js';
import type { HeldRows } from './held-rows.js';
import type { News } from './news.js';
import type { OpenStreams } from './open-streams.js';
import type { QueryValues } from './request-values.js';
import type { SharedAnswers } from './shared-answers.js';
import type { Walks } from './walks.js';
import type { WebDoctor } from './web-doctor.js';
import { WebError } from './web-error.js';
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

/** Rows of an answer. */
export const MOST_ROWS = 1000;

/** Exports of all flows at the same time. */
export const MOST_EXPORTS = 4;

export const JSON_TYPE = 'application/json';
export const NDJSON = 'application/x-ndjson';
export const EVENT_STREAM = 'text/event-stream';

/** A table by its name; without a name the only one, or the first. @throws WebError 404 */
export function namespaceOf({ conntracks }: WebState, name: string | undefined): Conntrack {
  const found = name === undefined ? [...conntracks.values()][0] : conntracks.get(name);
  if (!found) throw new WebError(404, 'NOT_FOUND', 'there is no such network namespace');
  return found;
}

/** A name of a table, if one is given. @throws WebError 404 */
export function knownNamespace(state: WebState, name: string | undefined): string | undefined {
  if (name !== undefined) namespaceOf(state, name);
  return name;
}

/** One of some words, if there is one. @throws WebError 400 */
export function wordOf<W extends string>(values: QueryValues, name: string, words: readonly W[]): W | undefined {
  const word = values.text(name);
  if (word === undefined || (words as readonly string[]).includes(word)) return word as W | undefined;
  throw new WebError(400, 'VALUE', `${name} cannot be ${JSON.stringify(word.slice(0, 40))}`, {
    hint: `one of ${words.join(', ')}`,
  });
}

/** What a log says of a request. */
export function loggedRequest(request: Request, peer: Peer | undefined): Pick<LogEntry, 'method' | 'path' | 'peer'> {
  const { pathname } = new URL(request.url);
  const from = peer && (peer.client ?? (peer.address === '' ? 'local' : `${hostOfAddress(peer.address)}:${peer.port}`));
  return { method: request.method, path: pathname, ...(from === undefined ? {} : { peer: from }) };
}
