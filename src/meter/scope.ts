// The scope of a meter: the part of a filter that says what never changes in a flow. Lists need not have the other flows.

import { divideByConstancy } from '../ctnetlink/filter/compile.js';
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
  const { scope, rest } = divideByConstancy(readFilter(input));
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
