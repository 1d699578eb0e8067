// The part of a FlowFilter that SQLite does. As with the plan for the kernel, it may let more rows through than the filter wants, never
// fewer, and the predicate over a view decides.

import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { toNormalForm } from '../ctnetlink/filter/normal.js';
import { filterCondition } from './filter-condition.js';
import { type IndexUse, usesOf } from './index-uses.js';
import type { SqlCondition } from './sql-condition.js';
import { refuseUnrecorded } from './unrecorded.js';

/** What SQLite does for a filter. */
export interface SqlPlan {
  /** Holds for every wanted row of `flow`; `undefined`: nothing can be said. */
  readonly flow: SqlCondition | undefined;
  /** The same for `open`. */
  readonly open: SqlCondition | undefined;
  /** Every wanted row is in one of these; `undefined`: all rows have to be looked at. */
  readonly indexes: readonly IndexUse[] | undefined;
}

/** The plan for a filter. @throws ValueError for a condition on what is not recorded */
export function sqlPlan(filter: FlowFilter): SqlPlan {
  const normal = toNormalForm(filter);
  refuseUnrecorded(normal);
  return { flow: filterCondition(normal, false), open: filterCondition(normal, true), indexes: usesOf(normal) };
}
