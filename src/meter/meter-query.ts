// What one asks a meter, and what it answers.

import { show } from '../ctnetlink/members.js';
import { ValueError } from '../errors.js';
import type { FilterInput } from '../library/index.js';
import { suggest } from '../nearest.js';
import { type FlowGroup, GROUP_SORTS, type GroupSort, type OtherGroups } from './flow-groups.js';
import { FLOW_SORTS, type FlowSort } from './flow-order.js';
import type { MeteredFlow } from './flow-store.js';
import type { GroupingName } from './group-keys.js';

/** Which flows, in which order. */
export interface FlowsQuery {
  readonly filter?: FilterInput | undefined;
  /** Default `average`. */
  readonly sort?: FlowSort | undefined;
  readonly reverse?: boolean | undefined;
  readonly offset?: number | undefined;
  /** Default 50. */
  readonly limit?: number | undefined;
}

/** A part of the flows that match. */
export interface FlowsAnswer {
  /** Number of the sample. */
  readonly sample: number;
  /** Flows that are metered. */
  readonly total: number;
  readonly matched: number;
  readonly totals: Omit<OtherGroups, 'groups'>;
  readonly flows: readonly MeteredFlow[];
}

/** Which groups, in which order. */
export interface GroupsQuery {
  readonly by: GroupingName;
  readonly filter?: FilterInput | undefined;
  /** Default `average`. */
  readonly sort?: GroupSort | undefined;
  readonly reverse?: boolean | undefined;
  readonly offset?: number | undefined;
  /** Default 20. */
  readonly limit?: number | undefined;
}

/** The largest groups. */
export interface GroupsAnswer {
  readonly sample: number;
  readonly total: number;
  readonly matched: number;
  readonly totals: Omit<OtherGroups, 'groups'>;
  readonly groups: readonly FlowGroup[];
  /** How many groups there are. */
  readonly count: number;
  /** Those that are not among `groups`. */
  readonly other: OtherGroups;
}

/** A query that leaves nothing out; without a filter it is about all flows. */
type Complete<Q extends { readonly filter?: unknown }> = {
  readonly [K in Exclude<keyof Q, 'filter'>]-?: Exclude<Q[K], undefined>;
} & { readonly filter: Q['filter'] };

/** @throws ValueError */
export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw new ValueError(`${name} must be a number from ${least} to ${most}, not ${show(value)}`);
}

/** The query with what it leaves out. @throws ValueError */
export function readFlowsQuery(query: FlowsQuery): Complete<FlowsQuery> {
  const { filter, sort = 'average', reverse = false, offset = 0, limit = 50 } = query;
  checkWord('sort', sort, FLOW_SORTS);
  checkPart(offset, limit);
  return { filter, sort, reverse, offset, limit };
}

/** The query with what it leaves out. @throws ValueError */
export function readGroupsQuery(query: GroupsQuery): Complete<GroupsQuery> {
  const { by, filter, sort = 'average', reverse = false, offset = 0, limit = 20 } = query;
  checkWord('sort', sort, GROUP_SORTS);
  checkPart(offset, limit);
  return { by, filter, sort, reverse, offset, limit };
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
