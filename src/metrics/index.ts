// conntrack/metrics: the public API of metrics.

export { collectMetrics, type MetricsOptions } from './collect-metrics.js';
export {
  type AddSample,
  type FamilyRow,
  type MetricFamily,
  type MetricSample,
  type MetricType,
  readFamilies,
} from './metric-family.js';
export { ProcessMetrics } from './process-metrics.js';
export { type TopGrouping, TopGroups } from './top-groups.js';
export { chooseFormat, METRICS_TYPES, type MetricsFormat, writeMetrics } from './write-metrics.js';
