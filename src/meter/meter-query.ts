// What one asks a meter, and what it answers.

import { LabelMap } from '../ctnetlink/label.js';
import { show } from '../ctnetlink/members.js';
import { ValueError } from '../errors.js';
import type { FilterInput } from '../library/index.js';
import { suggest } from '../nearest.js';
import type { FlowGroup, OtherGroups } from './flow-group.js';
import {
  FLOW_SORTS,
  type FlowSort,
  GROUP_SORTS,
  type GroupingName,
  type GroupSort,
  MINUTE_SORTS,
  type MinuteSort,
} from './meter-names.js';
import type { MeteredFlow } from './metered-flow.js';
import { MINUTE_GROUPINGS, type MinuteGrouping } from './minutes.js';

/** Which flows, in which order. */
export interface FlowsQuery {
  readonly filter?: FilterInput | undefined;
  /** Only flows of this network namespace, by its name in the meter. */
  readonly netns?: string | undefined;
  /** Default `average`. */
  readonly sort?: FlowSort | undefined;
  readonly reverse?: boolean | undefined;
  /** The first one of the answer. Default 0. */
  readonly offset?: number | undefined;
  /** The answer shall have this flow, if there is one: `row` rows from its beginning, or else as near to `offset` as can be. */
  readonly around?: { readonly number: number; readonly row?: number | undefined } | undefined;
  /** Only flows with at least so many bytes per second on average, both directions together. */
  readonly leastRate?: number | undefined;
  /** Default 50. */
  readonly limit?: number | undefined;
}

/** A part of the flows that match. */
export interface FlowsAnswer {
  /** Number of the sample, and when it was taken, in milliseconds since the epoch. */
  readonly sample: number;
  readonly at: number;
  /** Flows that are metered. */
  readonly total: number;
  readonly matched: number;
  readonly totals: Omit<OtherGroups, 'groups'>;
  /** Place of the first of `flows` among those that match. */
  readonly offset: number;
  readonly flows: readonly MeteredFlow[];
}

/** Which groups, in which order. */
export interface GroupsQuery {
  readonly by: GroupingName;
  readonly filter?: FilterInput | undefined;
  /** Only flows of this network namespace, by its name in the meter. */
  readonly netns?: string | undefined;
  /** Default `average`. */
  readonly sort?: GroupSort | undefined;
  readonly reverse?: boolean | undefined;
  readonly offset?: number | undefined;
  /** As of flows: the group with this key. */
  readonly around?: { readonly key: string; readonly row?: number | undefined } | undefined;
  /** Default 20. */
  readonly limit?: number | undefined;
}

/** The largest groups. */
export interface GroupsAnswer {
  readonly sample: number;
  readonly at: number;
  readonly total: number;
  readonly matched: number;
  readonly totals: Omit<OtherGroups, 'groups'>;
  readonly offset: number;
  readonly groups: readonly FlowGroup[];
  /** How many groups there are. */
  readonly count: number;
  /** Those that are not among `groups`. */
  readonly other: OtherGroups;
}

/** A query that leaves nothing out; without a filter and a namespace it is about all flows. */
type Complete<Q extends FlowsQuery | GroupsQuery> = {
  readonly [K in Exclude<keyof Q, 'filter' | 'netns' | 'around'>]-?: Exclude<Q[K], undefined>;
} & { readonly [K in 'filter' | 'netns' | 'around']: Q[K] };

/** Where an answer of `limit` rows begins that shall have row `index`; -1: there is no such row. */
export function offsetAround(index: number, row: number | undefined, offset: number, limit: number, total: number): number {
  if (index < 0) return offset;
  const wanted = row === undefined ? Math.min(index, Math.max(offset, index - limit + 1)) : index - row;
  return Math.max(0, Math.min(wanted, total - limit));
}

/** @throws ValueError */
export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw new ValueError(`${name} must be a number from ${least} to ${most}, not ${show(value)}`);
}

/** @throws ValueError */
export function checkLabels(labels: unknown): void {
  if (labels !== undefined && !(labels instanceof LabelMap))
    throw new ValueError(`labels must be a LabelMap, not ${show(labels)}`);
}

/** The query with what it leaves out. @throws ValueError */
export function readFlowsQuery(query: FlowsQuery): Complete<FlowsQuery> {
  const { filter, netns, around, leastRate = 0, sort = 'average', reverse = false, offset = 0, limit = 50 } = query;
  checkWord('sort', sort, FLOW_SORTS);
  checkPart(offset, limit);
  checkNumber('leastRate', leastRate, 0, Number.MAX_VALUE);
  return { filter, netns, around, leastRate, sort, reverse, offset, limit };
}

/** The query with what it leaves out. @throws ValueError */
export function readGroupsQuery(query: GroupsQuery): Complete<GroupsQuery> {
  const { by, filter, netns, around, sort = 'average', reverse = false, offset = 0, limit = 20 } = query;
  checkWord('sort', sort, GROUP_SORTS);
  checkPart(offset, limit);
  return { by, filter, netns, around, sort, reverse, offset, limit };
}

/** A minute of the past. */
export interface MinuteQuery {
  /** A time in it, in seconds since the epoch. */
  readonly at: number;
  /** Default `src`. */
  readonly by?: MinuteGrouping | undefined;
  /** Default `average`. */
  readonly sort?: MinuteSort | undefined;
  /** Default 20. */
  readonly limit?: number | undefined;
}

/** The query with what it leaves out. @throws ValueError */
export function readMinuteQuery(query: MinuteQuery): { readonly [K in keyof MinuteQuery]-?: Exclude<MinuteQuery[K], undefined> } {
  const { at, by = 'src', sort = 'average', limit = 20 } = query;
  checkNumber('at', at, 0, Number.MAX_SAFE_INTEGER);
  checkWord('by', by, MINUTE_GROUPINGS);
  checkWord('sort', sort, MINUTE_SORTS);
  checkPart(0, limit);
  return { at, by, sort, limit };
}

function checkPart(offset: unknown, limit: unknown): void {
  for (const [name, value] of [
    ['offset', offset],
    ['limit', limit],
  ] as const)
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw new ValueError(`${name} must be a whole number that is not negative, not ${show(value)}`);
}

function checkWord(name: string, value: string, words: readonly string[]): void {
  if (!words.includes(value)) throw new ValueError(`${name} cannot be ${show(value)}`, { hint: suggest(String(value), words) });
}
