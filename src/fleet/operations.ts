// What can be asked of hosts and collectors, and how a question is read.

import { EVENT_TYPES, type EventType } from '../ctnetlink/event.js';
import { H, unpackJson } from './bodies.js';
import type { BusMessage } from './bus.js';
import { FleetError } from './fleet-error.js';
import { PROTOCOL_VERSION, SHARDS } from './subjects.js';

/** Bytes of a question. */
const MOST_ASKED = 65_536;

/** The operations that this version knows. */
export const OPERATIONS = ['ping', 'count', 'list', 'top', 'stats', 'whohad', 'records', 'history', 'events'] as const;
export type Operation = (typeof OPERATIONS)[number];
/** Those about the past. */
const PAST_OPERATIONS: readonly Operation[] = ['whohad', 'records', 'history'];
/** Those that collectors know. */
export const COLLECTOR_OPERATIONS = ['ping', 'whohad', 'records', 'history'] as const satisfies readonly Operation[];

/** What is asked, whatever the operation. */
export interface QueryBody {
  /** A filter in text, with labels by number. */
  readonly filter?: string | undefined;
  /** Names of network namespaces. Default: all that the agent looks into. */
  readonly netns?: readonly string[] | undefined;
  readonly limit?: number | undefined;
  readonly by?: string | undefined;
  readonly sort?: string | undefined;
  /** Of `events`: of these types. Default: all. */
  readonly types?: readonly EventType[] | undefined;
  /** Of `whohad`: PastQuestion; of `records` and `history`: FlowsPart. */
  readonly past?: object | undefined;
  /** Of these, to collectors: numbers of shards. */
  readonly shards?: readonly number[] | undefined;
}

/** The operations that a host can do. */
export function operationsOf({ past }: { readonly past?: unknown }): readonly Operation[] {
  return OPERATIONS.filter((op) => past !== undefined || !PAST_OPERATIONS.includes(op));
}

/** @throws FleetError `VERSION`, `REQUEST`, `ENCODING` */
export function readQuestion(op: string, message: BusMessage, known: readonly string[]): QueryBody {
  const version = message.header(H.version);
  if (version !== PROTOCOL_VERSION || !known.includes(op))
    throw new FleetError(
      'VERSION',
      `this agent does not know ${JSON.stringify(op)} of version ${JSON.stringify(version ?? '')}`,
      {
        hint: `it supports ${known.join(', ')} of version ${PROTOCOL_VERSION}`,
      },
    );
  if (message.data.length > MOST_ASKED) throw new FleetError('REQUEST', `a question of ${message.data.length} bytes`);
  const told = unpackJson(message);
  if (typeof told !== 'object' || told === null || Array.isArray(told))
    throw new FleetError('REQUEST', 'the question is no object');
  const { filter, netns, limit, by, sort, past, shards, types } = told as Readonly<Record<keyof QueryBody, unknown>>;
  const isText = (value: unknown) => value === undefined || typeof value === 'string';
  const fine =
    isText(filter) &&
    isText(by) &&
    isText(sort) &&
    (netns === undefined || (Array.isArray(netns) && netns.length <= 1000 && netns.every((name) => typeof name === 'string'))) &&
    (shards === undefined || (Array.isArray(shards) && shards.length <= SHARDS && shards.every((n) => Number.isInteger(n)))) &&
    (types === undefined || (Array.isArray(types) && types.length > 0 && types.every((type) => EVENT_TYPES.includes(type)))) &&
    (limit === undefined || (typeof limit === 'number' && Number.isSafeInteger(limit) && limit >= 0));
  if (!fine) throw new FleetError('REQUEST', 'the question has members of other types');
  return { filter, netns, limit, by, sort, past, shards, types } as QueryBody;
}
