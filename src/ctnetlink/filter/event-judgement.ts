// What a socket filter can judge of a FlowFilter: another one, which every event that is wanted meets. It has `not` before conditions
// only, and only conditions that event-code.ts translates exactly.

import { IPS_DST_NAT_DONE, IPS_EXPECTED, IPS_SRC_NAT_DONE } from '../uapi/nf-conntrack-common.js';
import { type FlowCondition, type FlowFilter, MATCH_ALL, MATCH_NONE, MAX_COUNT, type Presence } from './condition.js';
import { NUMBER_FIELDS } from './number-fields.js';
import { pairsOf, type Ranges, rangesOf } from './sets.js';

/** For which watcher a filter is judged. */
export interface JudgementOptions {
  /** Entries that were told of are followed to their end: only what stays the same in all their events can be judged. */
  readonly tracked?: boolean | undefined;
}

/** The filter that the socket judges in place of another. */
export function judgedFilter(filter: FlowFilter, { tracked }: JudgementOptions = {}, wanted = true): FlowFilter {
  switch (filter.kind) {
    case 'not':
      return judgedFilter(filter.of, { tracked }, !wanted);
    case 'all':
    case 'any':
      return joined(
        (filter.kind === 'all') === wanted ? 'all' : 'any',
        filter.of.map((part) => judgedFilter(part, { tracked }, wanted)),
      );
    default:
      if (tracked && !isToldAlways(filter)) return MATCH_ALL;
      return wanted ? implied(filter) : impliedByNegation(filter);
  }
}

/** A combination without parts that do not matter. */
export function joined(kind: 'all' | 'any', parts: readonly FlowFilter[]): FlowFilter {
  const [nothing, everything] = kind === 'all' ? [MATCH_ALL, MATCH_NONE] : [MATCH_NONE, MATCH_ALL];
  const of: FlowFilter[] = [];
  for (const part of parts) {
    if (isEmpty(part, everything)) return everything;
    if (!isEmpty(part, nothing)) of.push(part);
  }
  return of.length === 0 ? nothing : of.length === 1 ? of[0]! : { kind, of };
}

export function matchesAll(filter: FlowFilter): boolean {
  return isEmpty(filter, MATCH_ALL);
}

function isEmpty(filter: FlowFilter, like: FlowFilter): boolean {
  return (filter.kind === 'all' || filter.kind === 'any') && filter.of.length === 0 && filter.kind === like.kind;
}

/** What is true of every event of which a condition is true. */
function implied(c: FlowCondition): FlowFilter {
  switch (c.kind) {
    case 'counter':
      return c.side === undefined ? sumWithin(c.of, c.ranges) : c;
    case 'text':
      return { kind: 'has', what: c.field };
    case 'family':
    case 'number':
    case 'address':
    case 'port':
    case 'state':
    case 'mark':
    case 'status':
    case 'label':
    case 'nat':
    case 'natTo':
    case 'age':
    case 'time':
    case 'has':
      return c;
    default:
      return c satisfies never;
  }
}

/** What is true of every event of which a condition is known to be false. */
function impliedByNegation(c: FlowCondition): FlowFilter {
  switch (c.kind) {
    case 'counter':
      return c.side === undefined ? sumWithin(c.of, complement(c.ranges)) : { kind: 'not', of: c };
    case 'age': {
      const ranges = complement(c.ranges);
      return ranges.length === 0 ? MATCH_NONE : { kind: 'age', ranges };
    }
    case 'text':
      // A flow without a helper has no other one either.
      return c.field === 'helper' ? MATCH_ALL : { kind: 'has', what: c.field };
    case 'family':
    case 'number':
    case 'address':
    case 'port':
    case 'state':
    case 'mark':
    case 'status':
    case 'label':
    case 'nat':
    case 'natTo':
    case 'time':
    case 'has':
      return { kind: 'not', of: c };
    default:
      return c satisfies never;
  }
}

/** Both directions together have a count in one of these ranges: neither has more, and one has at least half of it. */
function sumWithin(of: 'bytes' | 'packets', ranges: Ranges): FlowFilter {
  return joined(
    'any',
    pairsOf(ranges).map(([from, to]) => {
      const half = Math.ceil(from / 2);
      const each = (low: number): FlowFilter[] => [
        { kind: 'counter', of, side: 'original', ranges: [low, to] },
        { kind: 'counter', of, side: 'reply', ranges: [low, to] },
      ];
      const one = joined('any', half === 0 ? [MATCH_ALL] : each(half));
      return joined('all', to === MAX_COUNT ? [half === 0 ? { kind: 'has', what: of } : one] : [...each(0), one]);
    }),
  );
}

/** The counts that are not in. */
function complement(ranges: Ranges): Ranges {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [first, last] of pairsOf(ranges)) {
    if (first > from) gaps.push([from, first - 1]);
    from = last + 1;
  }
  if (from <= MAX_COUNT) gaps.push([from, MAX_COUNT]);
  return rangesOf(gaps);
}

/** Whether a condition has one answer in all events of a flow. Not so what some of them leave out, even if it never changes. */
function isToldAlways(c: FlowCondition): boolean {
  switch (c.kind) {
    case 'number':
      return NUMBER_FIELDS[c.field].constant;
    case 'status':
      return c.bit === BIT_EXPECTED;
    case 'address':
    case 'port':
      return c.ends.every(({ side }) => side !== 'master');
    case 'has':
      return ALWAYS_TOLD.has(c.what);
    case 'family':
    case 'nat':
    case 'natTo':
      return true;
    case 'state':
    case 'mark':
    case 'label':
    case 'counter':
    case 'age':
    case 'time':
    case 'text':
      return false;
    default:
      return c satisfies never;
  }
}

const BIT_EXPECTED = Math.log2(IPS_EXPECTED);
const ALWAYS_TOLD: ReadonlySet<Presence> = new Set(['port', 'key', 'zone', 'id']);

/** Something cheaper in place of a condition, when a program would be too long. */
export function cheaper(c: FlowCondition): FlowFilter {
  if (c.kind !== 'nat' && c.kind !== 'natTo') return MATCH_ALL;
  const bit = Math.log2(c.nat === 'src' ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE);
  return { kind: 'status', bit };
}
