// conntrack/meter: the public API of the meter.

export {
  type DeletionPlan,
  type DeletionResult,
  type DeletionTarget,
  FlowDeletion,
  type PlannedTarget,
} from './flow-deletion.js';
export type { FlowGroup, OtherGroups } from './flow-group.js';
export { FlowMeter, type MeterOptions } from './flow-meter.js';
export { TooManyGroupingsError } from './flow-store.js';
export { followNamespaces, type LookAgain, type NamespaceNews } from './follow-namespaces.js';
export { checkGrouping } from './group-keys.js';
export {
  FLOW_SORTS,
  type FlowSort,
  GROUP_SORTS,
  GROUPING_NAMES,
  type GroupingName,
  type GroupSort,
  MINUTE_SORTS,
  type MinuteSort,
} from './meter-names.js';
export {
  type FlowsAnswer,
  type FlowsQuery,
  type GroupsAnswer,
  type GroupsQuery,
  type MinuteQuery,
  offsetAround,
} from './meter-query.js';
export type { KernelCounts, MeterSample, MeterStatus, NamespaceSample, TrackingSysctls } from './meter-sample.js';
export type { BothWays, MeteredFlow } from './metered-flow.js';
export { MINUTE_GROUPINGS, type MinuteGrouping, type MinuteGroups } from './minutes.js';
export type { NamespaceTotals, ProtocolTotals } from './namespace-totals.js';
export type { Notice, NoticeCode } from './notices.js';
export { type Namespaces, namespacesOf, openMeter, tablesOf } from './open-meter.js';
export { divideFilter, joinFilters, type ScopedFilter } from './scope.js';
export type { MeterSeries } from './series.js';
export { type Usage, type UsageOptions, usage } from './usage.js';
