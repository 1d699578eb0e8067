// node scripts/runtime-parts.mjs, in a network namespace of its own: tries each part of the library and prints one JSON object,
// part → true, or what went wrong. scripts/test-runtimes.mjs runs it with every runtime.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const flow = (sport) => ({
  protocol: 'udp',
  original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
  timeout: 100,
});
const TIME_LIMIT = 10_000;

/** In a separate process, which must outlive the thread. */
const ENDING_WORKER = `
  const { Worker } = require('node:worker_threads');
  const worker = new Worker(\`
    import('${root}/dist/index.js').then(async ({ Conntrack }) => {
      (await Conntrack.open()).events();
      require('node:worker_threads').parentPort.postMessage('up');
    });
  \`, { eval: true });
  worker.once('message', () => worker.terminate().then(() => console.log('ended')));
`;

const PARTS = {
  'native library': async ({ conntrack }) => (await conntrack.count()).entries === 0,
  'create and list': async ({ conntrack }) => {
    await conntrack.create(flow(1));
    return (await conntrack.list({ protocol: 'udp' }).toArray()).length === 1;
  },
  delete: async ({ conntrack }) => (await conntrack.delete({ original: { sport: 1 } })).deleted === 1,
  'other namespaces': async ({ Conntrack }) => {
    const other = spawn('unshare', ['--net', 'sleep', '100']);
    try {
      await once(other, 'spawn');
      const before = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout;
      const table = await Conntrack.open({ netns: other.pid });
      const { entries } = await table.count();
      await table.close();
      return entries === 0 && spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout === before;
    } finally {
      other.kill();
    }
  },
  'record and replay': async ({ Conntrack, Recorder, Replay }) => {
    let text = '';
    const count = async (transport) => {
      const table = await Conntrack.open({ transport });
      const { entries } = await table.count();
      await table.close();
      return entries;
    };
    const recorder = new Recorder((line) => {
      text += line;
    });
    return (await count(recorder.open)) === (await count(Replay.fromText(text).open));
  },
  'a table in memory, with events': async ({ Conntrack, MemoryTable, makeFlow }) => {
    const table = new MemoryTable({ flows: [flow(3)] });
    const memory = await Conntrack.open({ transport: table.open });
    const events = memory.events();
    const { updated } = await memory.update({ protocol: 'udp' }, { mark: 7 });
    const { value } = await events.next();
    table.advance(1e6);
    const { entries } = await memory.count();
    await memory.close();
    return updated === 1 && value.type === 'UPDATE' && value.flow.mark === makeFlow({ mark: 7 }).mark && entries === 0;
  },
  'watching descriptors': async ({ NetlinkSocket, conntrack }) => {
    const socket = NetlinkSocket.open({ groups: 1 });
    try {
      const ready = new Promise((resolve) => socket.watch(resolve));
      await conntrack.create(flow(2));
      await ready;
      return true;
    } finally {
      socket.close();
    }
  },
  'a worker thread that ends while it watches': () => {
    const { status, stdout } = spawnSync(process.execPath, ['-e', ENDING_WORKER], { encoding: 'utf8', timeout: TIME_LIMIT });
    return status === 0 && stdout === 'ended\n';
  },
  // With the package with SQLite that the runtime has.
  'a record of flows, and questions to it': async ({ conntrack, openRecorder, openHistory }) => {
    const dir = mkdtempSync(`${tmpdir()}/conntrack-runtime-`);
    try {
      const recorder = await openRecorder(conntrack, { dir, keep: Number.POSITIVE_INFINITY });
      await conntrack.createMany([flow(4), flow(5), flow(6)]);
      await conntrack.delete({ original: { sport: 4 } });
      await conntrack.delete({ original: { sport: 5 } });
      await recorder.flush();
      const history = await openHistory(dir);
      const { matches, complete } = await history.whoHad({ address: '192.0.2.1', port: 6, at: 'now' });
      let past = 0;
      for await (const { flow, end } of history.flows('udp')) past += flow.original.sport < 6 && end !== undefined ? 1 : 0;
      await recorder.close();
      return past === 2 && complete && matches[0]?.grade === 'certain' && matches.length === 1;
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
  'the command': () => {
    const { status, stdout } = spawnSync(process.execPath, [`${root}/bin/conntrack`, '-C'], { encoding: 'utf8' });
    return status === 0 && /^\d+\n$/.test(stdout);
  },
};

const outcome = {};
const modules = {};
try {
  for (const path of [
    'index',
    'meter/index',
    'doctor/index',
    'metrics/index',
    'web/index',
    'history/index',
    'wire/index',
    'testing/index',
  ])
    Object.assign(modules, await import(`${root}/dist/${path}.js`));
  modules.conntrack = await modules.Conntrack.open();
} catch (error) {
  outcome.start = String(error);
}
for (const [part, works] of Object.entries(PARTS)) {
  try {
    const tooLong = new Promise((_, reject) => setTimeout(() => reject(new Error('no end in sight')), TIME_LIMIT).unref());
    outcome[part] = (await Promise.race([works(modules), tooLong])) || 'a wrong result';
  } catch (error) {
    outcome[part] = String(error.message ?? error).split('\n')[0];
  }
}
console.log(JSON.stringify(outcome));
process.exit(0);
