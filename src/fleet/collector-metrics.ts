// The metrics of a collector, and what it takes to be ready.

import type { FamilyRow } from '../metrics/index.js';
import type { CollectorStatus } from './collector.js';
import { ALIVE } from './inventory.js';
import { type ServiceReading, serviceFamilies } from './service-metrics.js';

/** A collector, as seen from outside. */
export type CollectorReading = ServiceReading<CollectorStatus>;

export const COLLECTOR_FAMILIES: readonly FamilyRow<CollectorReading>[] = [
  ...serviceFamilies(
    'collector',
    'Since the servers confirmed that this collector is there; after 45 seconds it is not asked any more.',
  ),
  {
    name: 'conntrack_collector_applied_rows',
    type: 'counter',
    help: 'Records that were written into copies.',
    labels: ['shard'],
    read: ({ status }, add) => {
      for (const [shard, rows] of status?.applied ?? []) add(rows, shard);
    },
  },
  {
    name: 'conntrack_collector_doubles',
    type: 'counter',
    help: 'Records that came more than once, and were written once.',
    labels: [],
    read: ({ status }, add) => add(status?.known),
  },
  {
    name: 'conntrack_collector_missing',
    type: 'counter',
    help: 'Records that never came, each named by a gap.',
    labels: [],
    read: ({ status }, add) => add(status?.missing),
  },
  {
    name: 'conntrack_collector_bad_messages',
    type: 'counter',
    help: 'Messages that could not be read, and are kept in DIR/bad.',
    labels: [],
    read: ({ status }, add) => add(status?.bad),
  },
  {
    name: 'conntrack_collector_unknown_columns',
    type: 'counter',
    help: 'Columns of newer agents that were left out.',
    labels: [],
    read: ({ status }, add) => add(status?.unknownColumns),
  },
  {
    name: 'conntrack_collector_lag_messages',
    type: 'gauge',
    help: 'Messages that wait on the servers; shard is all if one reader reads them all.',
    labels: ['shard'],
    read: ({ status }, add) => {
      for (const [shard, { messages }] of status?.lags ?? []) add(messages, shard);
    },
  },
  {
    name: 'conntrack_collector_lag_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'For how long the first message that waits has been on the servers, which keep it for 72 hours; 0 if none waits.',
    labels: ['shard'],
    read: ({ status }, add) => {
      for (const [shard, { milliseconds }] of status?.lags ?? []) add(milliseconds / 1000, shard);
    },
  },
  {
    name: 'conntrack_collector_until_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Up to when the record of the slowest host of a shard is known, since the epoch.',
    labels: ['shard'],
    read: ({ status }, add) => {
      for (const [shard, until] of status?.until ?? []) add(until / 1e6, shard);
    },
  },
  {
    name: 'conntrack_collector_copies',
    type: 'gauge',
    help: 'Records of which there is a copy.',
    labels: [],
    read: ({ status }, add) => add(status?.copies),
  },
  {
    name: 'conntrack_collector_trouble',
    type: 'gauge',
    help: '1 while something keeps it from reading or writing; its log and /readyz say what.',
    labels: [],
    read: ({ status }, add) => add(status && (status.trouble === undefined ? 0 : 1)),
  },
];

/** Why a collector is not ready; `undefined`: it is. */
export function collectorNotReady({ connected, status }: CollectorReading): string | undefined {
  if (!status) return connected ? 'its name is not claimed yet' : 'it has no connection to a server yet';
  if (!connected) return 'the connection to the servers is lost';
  if (status.trouble !== undefined) return status.trouble;
  if (status.heartbeat === undefined || status.heartbeat > ALIVE) return 'the servers take no heartbeats';
  return undefined;
}
