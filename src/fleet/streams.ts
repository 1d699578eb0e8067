// What the servers keep for a fleet besides the inventory: a row for each stream.

import type { Bus, StreamConfig } from './bus.js';
import { REMEMBERED } from './inventory.js';
import { AUDIT_STREAM, HOSTS_BUCKET, subjects } from './subjects.js';

/** Every stream that `conntrack fleet setup` makes. */
export const STREAMS: readonly StreamConfig[] = [
  {
    name: AUDIT_STREAM,
    subjects: [subjects.audit('*', '*')],
    maxBytes: 1 << 30,
    maxMessage: 128 << 10,
    // What cannot be written down is not done.
    full: 'refuse',
  },
];

/** Makes what is missing. @returns the names of what was made @throws FleetError */
export async function prepareServers(bus: Bus, replicas: number): Promise<readonly string[]> {
  const made: string[] = [];
  if (!(await bus.hasBucket(HOSTS_BUCKET))) {
    await bus.makeBucket(HOSTS_BUCKET, { replicas, ttl: REMEMBERED });
    made.push(HOSTS_BUCKET);
  }
  for (const stream of STREAMS)
    if (!(await bus.hasStream(stream.name))) {
      await bus.makeStream(stream, replicas);
      made.push(stream.name);
    }
  return made;
}
