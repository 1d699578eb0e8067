// A program whose worker threads end with everything open, in the way that its argument says. Prints how many sockets and namespaces were
// left open. With `flood`, events never stop, and the threads end in the middle of them.

import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Conntrack, NetworkNamespace } from '../../src/index.js';

const WORKERS = 4;

function left(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(?:socket|net):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // of the folder that was read
    }
  }).length;
}

/** Makes events until told to stop. */
async function flood(state: { over: boolean }): Promise<void> {
  await using conntrack = await Conntrack.open();
  const flows = Array.from({ length: 300 }, (_, sport) => ({
    protocol: 'udp' as const,
    original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
    timeout: 100,
  }));
  while (!state.over) {
    await conntrack.createMany(flows, { mayExist: true });
    await conntrack.deleteMany(flows);
  }
}

if (isMainThread) {
  const how = process.argv[2];
  const before = left();
  const state = { over: false };
  const flooding = how === 'flood' ? flood(state) : undefined; // elsewhere the main thread never loads koffi
  for (let n = 0; n < WORKERS; n++) {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: how });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('error', () => {});
    await new Promise((resolve) => worker.once('message', resolve));
    if (how === 'terminate' || how === 'flood') await worker.terminate();
    await ended;
  }
  state.over = true;
  await flooding;
  console.log(left() - before);
} else {
  const conntrack = await Conntrack.open();
  const held = [conntrack.events(), await conntrack.watch(), NetworkNamespace.open(process.pid)];
  void conntrack.list().toArray();
  parentPort?.postMessage(held.length);
  if (workerData === 'exit') process.exit(0);
  if (workerData === 'throw') setTimeout(() => { throw new Error('thrown in the worker'); }, 1); // biome-ignore format: a line
}
