// Worker threads that end while the library has sockets, watches and lists in progress: the process goes on, and nothing stays open. Each
// case runs in a separate process, because a failure would end more than this one test.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';

const PROGRAM = fileURLToPath(new URL('../support/ending-workers.js', import.meta.url));

before(requirePrerequisites);
suite('worker threads', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('workers');
    await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
  });
  after(() => namespace.close());

  for (const [how, title] of [
    ['terminate', 'that is terminated'],
    ['exit', 'that ends by process.exit()'],
    ['throw', 'that ends by an error'],
    ['flood', 'that is terminated in a flood of events'],
  ] as const)
    test(`a worker ${title} takes its sockets with it, and nobody else`, async () => {
      const { status, stdout, stderr } = await namespace.run([process.execPath, PROGRAM, how]);
      assert.deepEqual({ status, left: stdout.toString() }, { status: 0, left: '0\n' }, stderr.toString());
    });

  test('a worker gets events, and a pause and an end of the stream hold there', async () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      new Worker(\`
        import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)}).then(async ({ Conntrack }) => {
          const conntrack = await Conntrack.open();
          const flow = (sport) => ({ protocol: 'udp', original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 }, timeout: 100 });
          const events = conntrack.events({}, { types: ['NEW'], highWaterMark: 10 });
          await conntrack.createMany(Array.from({ length: 1000 }, (_, sport) => flow(sport)));
          const sports = [];
          for await (const { flow } of events) if (sports.push(flow.original.sport) === 1000) break;
          console.log(sports.every((sport, n) => sport === n));
          await conntrack.close();
        });
      \`, { eval: true });`;
    const { status, stdout, stderr } = await namespace.run([process.execPath, '-e', program]);
    assert.deepEqual([status, stdout.toString()], [0, 'true\n'], stderr.toString());
  });
});
