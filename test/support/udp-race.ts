// One of two threads that send the first datagram of the same flow at the same time. The other's progress is in shared memory: both turn
// round it until the other is as far.

import { isMainThread, workerData } from 'node:worker_threads';
import { AF_INET, libc, rawAddress, SOCK_CLOEXEC, SOL_SOCKET } from './libc.js';

/** From `from`, ports `firstPort` and up, to an address and port, IPv4. */
export interface UdpRace {
  readonly from: string;
  readonly firstPort: number;
  readonly to: readonly [address: string, port: number];
  /** How many flows. */
  readonly count: number;
}

/** Milliseconds between two flows: who measures should see some of them. */
const PAUSE = 5;
const SOCK_DGRAM = 2;
const SO_REUSEPORT = 15;

if (!isMainThread) run(workerData as { race: UdpRace; shared: Int32Array; me: 0 | 1 });

function run({ race, shared, me }: { race: UdpRace; shared: Int32Array; me: 0 | 1 }): void {
  const c = libc();
  const sockets = Array.from({ length: race.count }, (_, i) => {
    const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    c.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, Buffer.from(new Int32Array([1]).buffer), 4);
    c.bind(fd, withPort(race.from, race.firstPort + i), 16);
    return fd;
  });
  const to = withPort(...race.to);
  const payload = Buffer.from('x');
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (const [i, fd] of sockets.entries()) {
    Atomics.wait(clock, 0, 0, PAUSE);
    Atomics.store(shared, me, i + 1);
    while (Atomics.load(shared, 1 - me) <= i);
    c.sendto(fd, payload, payload.length, 0, to, to.length);
  }
  for (const fd of sockets) c.close(fd);
}

function withPort(address: string, port: number): Buffer {
  const bytes = rawAddress(address);
  bytes.writeUInt16BE(port, 2);
  return bytes;
}
