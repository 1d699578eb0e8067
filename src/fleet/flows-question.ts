// Which flows of the past are wanted, as it is sent to hosts and collectors. Times are microseconds since the epoch.

import type { Span } from '../history/moments.js';
import { PAST_GROUP_SORTS, PAST_GROUPINGS, type PastGrouping, type PastGroupSort } from '../history/past-groups.js';
import type { RecordRange } from '../history/record-ranges.js';
import { FleetError } from './fleet-error.js';
import { isRange } from './known-record.js';
import { MOST_PAST_ROWS } from './past-rows.js';
import { isName } from './subjects.js';

/** What is asked of everybody. */
export interface FlowsQuestion {
  /** They lived at some moment of it; of sums: they ended in it. Absent: ever. */
  readonly span?: Span | undefined;
  readonly newestFirst?: boolean | undefined;
  /** Of this network namespace. */
  readonly netns?: string | undefined;
  /** Sums are wanted, by this. */
  readonly by?: PastGrouping | undefined;
  readonly sort?: PastGroupSort | undefined;
}

/** What is asked of one. */
export interface FlowsPart extends FlowsQuestion {
  /** Rows in a message. */
  readonly chunk?: number | undefined;
  /** Of a host: the record that is meant, and numbers that somebody else has. */
  readonly recorder?: string | undefined;
  readonly except?: readonly RecordRange[] | undefined;
  /** Of a collector: these hosts only. */
  readonly hosts?: readonly string[] | undefined;
}

const MOST_HOSTS = 2000;

/** @throws FleetError `REQUEST` for what is no question */
export function readFlowsPart(told: unknown): FlowsPart {
  const { span, newestFirst, netns, by, sort, chunk, recorder, except, hosts } = (told ?? {}) as Readonly<
    Record<keyof FlowsPart, unknown>
  >;
  const { from, to } = (span ?? {}) as { readonly from?: unknown; readonly to?: unknown };
  const grouping = PAST_GROUPINGS.find((one) => one === by);
  const order = PAST_GROUP_SORTS.find((one) => one === sort);
  const isList = (list: unknown, most: number, isIn: (one: unknown) => boolean) =>
    list === undefined || (Array.isArray(list) && list.length <= most && list.every(isIn));
  const fine =
    (span === undefined || isRange([from, to])) &&
    (newestFirst === undefined || typeof newestFirst === 'boolean') &&
    (netns === undefined || typeof netns === 'string') &&
    (by === undefined) === (grouping === undefined) &&
    (sort === undefined) === (order === undefined) &&
    (chunk === undefined || (Number.isInteger(chunk) && (chunk as number) >= 1 && (chunk as number) <= MOST_PAST_ROWS)) &&
    (recorder === undefined || typeof recorder === 'string') &&
    isList(except, 1000, isRange) &&
    isList(hosts, MOST_HOSTS, isName);
  if (!fine) throw new FleetError('REQUEST', 'that is no question about flows of the past');
  return {
    ...(span === undefined ? {} : { span: { from: from as number, to: to as number } }),
    ...(newestFirst === true ? { newestFirst } : {}),
    ...(netns === undefined ? {} : { netns: netns as string }),
    ...(grouping === undefined ? {} : { by: grouping }),
    ...(order === undefined ? {} : { sort: order }),
    ...(chunk === undefined ? {} : { chunk: chunk as number }),
    ...(recorder === undefined ? {} : { recorder: recorder as string }),
    ...(except === undefined ? {} : { except: except as readonly RecordRange[] }),
    ...(hosts === undefined ? {} : { hosts: hosts as readonly string[] }),
  };
}
