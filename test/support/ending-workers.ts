// A program whose worker threads end with everything open: `LIBRARY WAY`. Prints how many sockets and namespaces were left open.

import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const WORKERS = 4;
const FILE = fileURLToPath(import.meta.url);

function left(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(?:socket|net):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // of the folder that was read
    }
  }).length;
}

if (isMainThread) {
  const [library, how] = process.argv.slice(2);
  const before = left();
  for (let n = 0; n < WORKERS; n++) {
    const worker = new Worker(FILE, { workerData: { library, how } });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('error', () => {});
    await new Promise((resolve) => worker.once('message', resolve));
    if (how === 'terminate') await worker.terminate();
    await ended;
  }
  console.log(left() - before);
} else {
  const { library, how } = workerData as { readonly library: string; readonly how: string };
  const { Conntrack, NetworkNamespace } = (await import(library)) as typeof import('../../src/index.js');
  const conntrack = await Conntrack.open();
  const held = [conntrack.events(), await conntrack.watch(), NetworkNamespace.open(process.pid)];
  void conntrack.list().toArray();
  parentPort?.postMessage(held.length);
  if (how === 'exit') process.exit(0);
  if (how === 'throw') setTimeout(() => { throw new Error('thrown in the worker'); }, 1); // biome-ignore format: a line
}
