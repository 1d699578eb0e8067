// The scope of a meter: the part of a filter that says what never changes in a flow. Lists need not have the other flows.

import { isConstant } from '../ctnetlink/filter/compile.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { type Filter, type FilterInput, parseFilter, readFilter } from '../library/index.js';

/** A filter in two parts, both of which must hold, in canonical text; absent: no such part. */
export interface ScopedFilter {
  /** For `openMeter`. */
  readonly scope?: string;
  /** For the questions to the meter. */
  readonly rest?: string;
}

/** Divides a filter. @throws ValueError, FilterError */
export function divideFilter(input: FilterInput): ScopedFilter {
  const filter = readFilter(input);
  const parts = filter.kind === 'all' ? filter.of : [filter];
  const scope = all(parts.filter(isConstant));
  const rest = all(parts.filter((part) => !isConstant(part)));
  return {
    ...(scope === undefined ? {} : { scope: formatFlowFilter(scope) }),
    ...(rest === undefined ? {} : { rest: formatFlowFilter(rest) }),
  };
}

/** All of several filters; `undefined` if there is none. An object: as a text, it might be longer than texts may be. */
export function joinFilters(parts: readonly (FilterInput | undefined)[]): Filter | undefined {
  const filters = parts
    .filter((part) => part !== undefined && part !== '')
    .map((part) => (typeof part === 'string' ? parseFilter(part) : part!));
  return filters.length > 1 ? { all: filters } : filters[0];
}

function all(of: readonly FlowFilter[]): FlowFilter | undefined {
  if (of.length === 0) return undefined;
  return of.length === 1 ? of[0] : { kind: 'all', of };
}
