// MemoryTable against the kernel: the same random calls of the library on a table in memory and on that of a private namespace give
// the same results, errors, events and tables. SEED=n for other sessions, SESSIONS=n for how many.

import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { Conntrack, type ExpectationEvent, type FlowEvent } from '../../src/index.js';
import { MemoryTable } from '../../src/testing/index.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';
import { Calls, comparableEvents, contentOf, outcomeOf, type World } from '../support/table-sessions.js';

const SEED = seedFromEnvironment(20261128);
const SESSIONS = Number(process.env['SESSIONS'] ?? 150);

/** What is set in the kernel and in memory alike. */
const SETTINGS = [
  { accounting: false, timestamps: false, labels: true },
  { accounting: true, timestamps: true, labels: false },
] as const;

/** What tells that everything before it has been told. */
const LAST = {
  protocol: 'udp',
  timeout: 100,
  original: { src: '10.9.9.9', dst: '10.9.9.9', sport: 9, dport: 9 },
  helper: 'tftp',
} as const;
const LAST_EXPECTATION = {
  protocol: 'udp',
  master: LAST.original,
  tuple: LAST.original,
  mask: { src: '255.255.255.255', dst: '255.255.255.255', sport: 0xffff, dport: 0xffff },
} as const;

/** Listens to flows and expectations. @returns what gives everything that has happened since */
function listen(conntrack: Conntrack): () => Promise<unknown> {
  const flows = conntrack.events();
  const expectations = conntrack.expectations.events();
  return async () => {
    const seen: (FlowEvent | ExpectationEvent)[] = [];
    await conntrack.create(LAST);
    await conntrack.expectations.create(LAST_EXPECTATION);
    for await (const event of flows) {
      if (event.flow.original.src === LAST.original.src) break;
      seen.push(event);
    }
    for await (const event of expectations) {
      if (event.expectation.tuple.src === LAST.original.src) break;
      seen.push(event);
    }
    return comparableEvents(seen);
  };
}

/** Which of the protocols that some kernels only track has ports here. */
async function worldOf(conntrack: Conntrack): Promise<World> {
  const tracked = new Set<number>();
  for (const protocol of [33, 136]) {
    await conntrack.create({ protocol, timeout: 100, original: LAST.original });
    const [flow] = await conntrack.list({ protocol }).toArray();
    if (flow?.original.sport !== undefined) tracked.add(protocol);
  }
  await conntrack.flush();
  return { tracked };
}

before(requirePrerequisites);
suite('memory table', { skip: SELF_TEST ? 'a part of our own library' : false }, () => {
  for (const [variant, settings] of SETTINGS.entries())
    test(`${SESSIONS} sessions as with the kernel, ${JSON.stringify(settings)} (SEED=${SEED})`, async (t) => {
      await using there = await Table.create('memory', { labels: settings.labels });
      await there.namespace.sysctl({
        'net.netfilter.nf_conntrack_events': 1,
        'net.netfilter.nf_conntrack_acct': Number(settings.accounting),
        'net.netfilter.nf_conntrack_timestamp': Number(settings.timestamps),
      });
      await using kernel = await Conntrack.open({ netns: there.namespace.pid });
      const world = await worldOf(kernel);
      const counts = new Map<string, number>();
      for (let number = 0; number < SESSIONS; number++) {
        const calls = new Calls(new Random(Math.imul(SEED ^ (2 * number + variant), 0x9e3779b1)), world);
        await kernel.flush();
        const table = new MemoryTable(settings);
        await using memory = await Conntrack.open({ transport: table.open });
        const [heardOfKernel, heardOfMemory] = [listen(kernel), listen(memory)];
        const lines: string[] = [];
        const story = () => `session ${number} (SEED=${SEED})\n${lines.join('\n')}`;
        for (let n = 0; n < 14; n++) {
          const call = calls.next();
          const expected = await outcomeOf(call, kernel);
          lines.push(`${call.text}: ${JSON.stringify(expected)}`);
          assert.deepEqual(await outcomeOf(call, memory), expected, story());
          const verdict = (expected as { code?: string } | undefined)?.code ?? 'done';
          const name = `${call.text.slice(0, call.text.indexOf('('))} ${verdict}`;
          counts.set(name, (counts.get(name) ?? 0) + 1);
        }
        assert.deepEqual(await contentOf(memory), await contentOf(kernel), story());
        assert.deepEqual(await heardOfMemory(), await heardOfKernel(), story());
      }
      for (const [name, count] of [...counts].sort()) t.diagnostic(`${name}: ${count}`);
    });
});
