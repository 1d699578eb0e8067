// Forms of a FlowFilter: as it is written, with chains in chains joined; and with `not` at the conditions only.

import type { FlowCondition, FlowFilter } from './condition.js';

/** Joins chains of one kind, takes away `not not`, and opens chains of one: what is left is how the filter is written. */
export function flatten(filter: FlowFilter): FlowFilter {
  switch (filter.kind) {
    case 'not': {
      const of = flatten(filter.of);
      return of.kind === 'not' ? of.of : { kind: 'not', of };
    }
    case 'all':
    case 'any': {
      const of = filter.of.map(flatten).flatMap((part) => (part.kind === filter.kind ? part.of : [part]));
      return of.length === 1 ? of[0]! : { kind: filter.kind, of };
    }
    default:
      return filter;
  }
}

/** A condition that must hold, or must be known not to. */
export interface FilterLeaf {
  readonly condition: FlowCondition;
  readonly wanted: boolean;
}

export function leafFilter({ condition, wanted }: FilterLeaf): FlowFilter {
  return wanted ? condition : { kind: 'not', of: condition };
}

/** A filter in which `not` stands at conditions only. */
export type NormalFilter =
  | ({ readonly kind: 'leaf' } & FilterLeaf)
  | { readonly kind: 'all' | 'any'; readonly of: readonly NormalFilter[] };

export function toNormalForm(filter: FlowFilter, wanted = true): NormalFilter {
  switch (filter.kind) {
    case 'not':
      return toNormalForm(filter.of, !wanted);
    case 'all':
    case 'any':
      return {
        kind: (filter.kind === 'all') === wanted ? 'all' : 'any',
        of: filter.of.map((part) => toNormalForm(part, wanted)),
      };
    default:
      return { kind: 'leaf', condition: filter, wanted };
  }
}
