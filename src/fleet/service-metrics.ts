// What the metrics of agents and of collectors have in common: their version, their connection, and since when the servers know of them.

import type { FamilyRow } from '../metrics/index.js';

/** An agent or a collector, as seen from outside. */
export interface ServiceReading<Status extends { readonly heartbeat?: number | undefined }> {
  readonly version: string;
  /** Whether there is a connection to a server. */
  readonly connected: boolean;
  readonly reconnects: number;
  /** Absent until the name was claimed. */
  readonly status?: Status | undefined;
}

type AnyReading = ServiceReading<{ readonly heartbeat?: number | undefined }>;

/** `heartbeat`: what an old one means, in words. */
export function serviceFamilies(word: 'agent' | 'collector', heartbeat: string): readonly FamilyRow<AnyReading>[] {
  const name = `conntrack_${word}`;
  return [
    {
      name,
      type: 'info',
      help: `The version of the ${word}.`,
      labels: ['version'],
      read: ({ version }, add) => add(1, version),
    },
    {
      name: `${name}_connected`,
      type: 'gauge',
      help: '1 while there is a connection to a server.',
      labels: [],
      read: ({ connected }, add) => add(connected ? 1 : 0),
    },
    {
      name: `${name}_reconnects`,
      type: 'counter',
      help: 'Connections after the first one.',
      labels: [],
      read: ({ reconnects }, add) => add(reconnects),
    },
    {
      name: `${name}_heartbeat_age_seconds`,
      type: 'gauge',
      unit: 'seconds',
      help: heartbeat,
      labels: [],
      read: ({ status }, add) => add(status?.heartbeat === undefined ? undefined : status.heartbeat / 1000),
    },
  ];
}
