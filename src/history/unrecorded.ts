// What a record does not have, and what a filter must not ask of it.

import type { FlowCondition, FlowFilter } from '../ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import type { NormalFilter } from '../ctnetlink/filter/normal.js';
import { ValueError } from '../errors.js';

/** @throws ValueError for a condition on what is not recorded */
export function refuseUnrecorded(filter: NormalFilter): void {
  if (filter.kind !== 'leaf') {
    for (const part of filter.of) refuseUnrecorded(part);
    return;
  }
  const { condition: c } = filter;
  if (!isUnrecorded(c)) return;
  throw new ValueError(`${JSON.stringify(formatFlowFilter(c))} cannot be asked of the past: that is not recorded`, {
    hint: 'a record has addresses, ports, protocol, times, counters, zone, mark, status, state and translations',
  });
}

const UNRECORDED_NUMBERS: ReadonlySet<string> = new Set(['timeout', 'use', 'secmark', 'vtagOriginal', 'vtagReply', 'role']);

const UNRECORDED_PRESENCES: ReadonlySet<string> = new Set([
  'label',
  'helper',
  'timeout',
  'use',
  'secmark',
  'secctx',
  'master',
  'seqadj',
  'synproxy',
]);

function isUnrecorded(c: FlowCondition): boolean {
  switch (c.kind) {
    case 'label':
    case 'text':
      return true;
    case 'number':
      return UNRECORDED_NUMBERS.has(c.field);
    case 'has':
      return UNRECORDED_PRESENCES.has(c.what);
    case 'address':
    case 'port':
      return c.ends.some(({ side }) => side === 'master');
    default:
      return false;
  }
}

/** Whether a filter asks for the kernel's identifier, which is recorded only if it is asked for. */
export function asksId(filter: FlowFilter): boolean {
  switch (filter.kind) {
    case 'not':
      return asksId(filter.of);
    case 'all':
    case 'any':
      return filter.of.some(asksId);
    case 'number':
      return filter.field === 'id';
    case 'has':
      return filter.what === 'id';
    default:
      return false;
  }
}
