// The metrics of an agent, and what it takes to be ready.

import type { FamilyRow } from '../metrics/index.js';
import type { FleetAgentStatus } from './agent.js';
import { ALIVE } from './inventory.js';
import { type ServiceReading, serviceFamilies } from './service-metrics.js';

/** An agent, as seen from outside. */
export type AgentReading = ServiceReading<FleetAgentStatus>;

export const AGENT_FAMILIES: readonly FamilyRow<AgentReading>[] = [
  ...serviceFamilies('agent', 'Since the servers confirmed that this host is there; after 45 seconds it counts as silent.'),
  {
    name: 'conntrack_agent_clock_offset_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'By how much the clock is ahead of that of the servers.',
    labels: [],
    read: ({ status }, add) => add(status?.clock ? status.clock.offset / 1000 : undefined),
  },
  {
    name: 'conntrack_agent_queries',
    type: 'counter',
    help: 'Questions that ended, by how: ok, why it ended early, or the code of an error.',
    labels: ['op', 'result'],
    read: ({ status }, add) => {
      for (const [name, count] of status?.queries ?? []) add(count, ...name.split(' '));
    },
  },
  {
    name: 'conntrack_agent_queries_running',
    type: 'gauge',
    help: 'Questions that run or wait.',
    labels: [],
    read: ({ status }, add) => add(status?.running),
  },
  {
    name: 'conntrack_agent_query_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'What questions took, from their receipt to their end.',
    labels: [],
    read: ({ status }, add) => add(status && status.milliseconds / 1000),
  },
  {
    name: 'conntrack_agent_query_rows',
    type: 'counter',
    help: 'Flows that were sent.',
    labels: [],
    read: ({ status }, add) => add(status?.rows),
  },
  {
    name: 'conntrack_agent_changes',
    type: 'counter',
    help: 'Requests for changes, by how they ended: ok, or the code of an error.',
    labels: ['op', 'result'],
    read: ({ status }, add) => {
      for (const [name, count] of status?.changes ?? []) add(count, ...name.split(' '));
    },
  },
  {
    name: 'conntrack_agent_ship_acked_seq',
    type: 'gauge',
    help: 'Number of the last record that the servers confirmed.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped?.acked),
  },
  {
    name: 'conntrack_agent_ship_behind_rows',
    type: 'gauge',
    help: 'Records that wait to be shipped.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped?.behind),
  },
  {
    name: 'conntrack_agent_ship_rows',
    type: 'counter',
    help: 'Records that were shipped in this run.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped?.records),
  },
  {
    name: 'conntrack_agent_ship_bytes',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of the messages with them.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped?.bytes),
  },
  {
    name: 'conntrack_agent_ship_retries',
    type: 'counter',
    help: 'Messages that had to be sent again.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped?.retries),
  },
  {
    name: 'conntrack_agent_ship_trouble',
    type: 'gauge',
    help: '1 while nothing is confirmed.',
    labels: [],
    read: ({ status }, add) => add(status?.shipped && (status.shipped.trouble === undefined ? 0 : 1)),
  },
];

/** Why an agent is not ready; `undefined`: it is. */
export function notReady({ connected, status }: AgentReading): string | undefined {
  if (!status) return connected ? 'its name is not claimed yet' : 'it has no connection to a server yet';
  if (status.state !== 'up') return `it is ${status.state}`;
  if (!connected) return 'the connection to the servers is lost';
  if (status.heartbeat === undefined || status.heartbeat > ALIVE) return 'the servers take no heartbeats';
  return undefined;
}
