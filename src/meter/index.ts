// conntrack/meter: the public API of the meter.

export type { FlowGroup, GroupSort, OtherGroups } from './flow-groups.js';
export { FlowMeter, type MeterOptions } from './flow-meter.js';
export type { FlowSort } from './flow-order.js';
export type { BothWays, MeteredFlow } from './flow-store.js';
export { GROUPING_NAMES, type GroupingName } from './group-keys.js';
export type { FlowsAnswer, FlowsQuery, GroupsAnswer, GroupsQuery } from './meter-query.js';
export type { MeterSample, MeterStatus, NamespaceSample } from './meter-sample.js';
export type { KernelCounts, TrackingSysctls } from './metered-namespace.js';
export type { Notice, NoticeCode } from './notices.js';
export { openMeter } from './open-meter.js';
export type { MeterSeries } from './series.js';
