// What the servers keep for a fleet besides the inventory: a row for each stream.

import { ConntrackError } from '../errors.js';
import type { Bus, StreamConfig, StreamHealth } from './bus.js';
import type { FleetStream } from './fleet-checks.js';
import { REMEMBERED } from './inventory.js';
import { AUDIT_STREAM, COLLECTORS_BUCKET, HOSTS_BUCKET, RECORD_STREAM, subjects } from './subjects.js';

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
  {
    name: RECORD_STREAM,
    subjects: [subjects.record('*', '*', '*')],
    maxAge: 72 * 3_600_000,
    // 10^8 records, unless somebody asks for more.
    maxBytes: 4 * 2 ** 30,
    maxMessage: 384 << 10,
    // No host waits because nobody collects; what a collector misses, it tells.
    full: 'drop',
  },
];

const BUCKETS = [HOSTS_BUCKET, COLLECTORS_BUCKET];

/**
 * Makes what is missing. `records`: bytes for the stream of records.
 * @returns the names of what was made @throws FleetError
 */
export async function prepareServers(bus: Bus, replicas: number, records?: number): Promise<readonly string[]> {
  const made: string[] = [];
  for (const bucket of BUCKETS)
    if (!(await bus.hasBucket(bucket))) {
      await bus.makeBucket(bucket, { replicas, ttl: REMEMBERED });
      made.push(bucket);
    }
  for (const stream of STREAMS)
    if (!(await bus.hasStream(stream.name))) {
      const maxBytes = stream.name === RECORD_STREAM ? (records ?? stream.maxBytes) : stream.maxBytes;
      await bus.makeStream({ ...stream, maxBytes }, replicas);
      made.push(stream.name);
    }
  return made;
}

/**
 * Lets the hub have what the servers of a site keep of records: made are the site's own stream, and the way from there. `bus` is connected
 * to the hub. @returns the names of what was made @throws FleetError
 */
export async function prepareSite(bus: Bus, site: string, replicas: number, records?: number): Promise<readonly string[]> {
  const stream = STREAMS.find(({ name }) => name === RECORD_STREAM)!;
  await bus.makeStream({ ...stream, maxBytes: records ?? stream.maxBytes }, replicas, site);
  return (await bus.addSite(RECORD_STREAM, site)) ? [`${RECORD_STREAM} of ${site}`] : [];
}

/** How everything is that should be there. What cannot be read says why. */
export async function readStreams(bus: Bus): Promise<readonly FleetStream[]> {
  const read = async (name: string, wanted: StreamConfig | undefined, ask: () => Promise<StreamHealth | undefined>) => {
    try {
      return { name, wanted, state: (await ask()) ?? ('missing' as const) };
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      return { name, wanted, state: { unknown: error.message } };
    }
  };
  return Promise.all([
    ...BUCKETS.map((bucket) => read(bucket, undefined, () => bus.bucketHealth(bucket))),
    ...STREAMS.map((stream) => read(stream.name, stream, () => bus.streamHealth(stream.name))),
  ]);
}
