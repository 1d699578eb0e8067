// Run inside a namespace: writes so many values into a bucket of real servers, and reads them all while some are written again.
//
//   node inventory-program.js COUNT

import assert from 'node:assert/strict';
import { connectBus } from '../../src/fleet/nats.js';

const [count] = process.argv.slice(2).map(Number);
if (count !== undefined) {
  const bus = await connectBus({ servers: ['nats://127.0.0.1:4222'], name: 'local', tls: false, patient: true });
  await bus.makeBucket('many', { replicas: 1, ttl: 600_000 });
  const value = new TextEncoder().encode(JSON.stringify({ padding: 'x'.repeat(300) }));
  const revisions: number[] = [];
  const write = async (n: number) => {
    revisions[n] = await bus.writeKey('many', `host${n}`, value, revisions[n] ?? 0);
  };
  for (let from = 0; from < count; from += 500) await Promise.all(Array.from({ length: 500 }, (_, i) => write(from + i)));
  let reading = true;
  const heartbeats = (async () => {
    for (let n = 0; reading; n = (n + 7) % count) await write(n);
  })();
  const { entries } = await bus.readBucket('many');
  reading = false;
  await heartbeats;
  assert.equal(new Set(entries.map(({ key }) => key)).size, count);
  assert.equal(entries.length, count);
  await bus.close();
  process.stdout.write('every value was read\n');
}
