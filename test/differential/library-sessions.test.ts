// The random sessions of the command, expressed with the library's objects: after each session the table that the command has changed and
// the one that the library has changed are the same. SEED=n for other sessions, SESSIONS=n for how many.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Invocation } from '../../src/cli/invocation.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { IPS_ASSURED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY } from '../../src/ctnetlink/uapi/nf-conntrack-common.js';
import { Conntrack, ConntrackError } from '../../src/index.js';
import { quote } from '../support/argv.js';
import { call, parse } from '../support/library-calls.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';
import { Changes, randomTheme } from './change-lines.js';

const SEED = seedFromEnvironment(20260405);
const SESSIONS = Number(process.env['SESSIONS'] ?? 40);
const SETTABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT;

/** What a command line means; `undefined` for one that is wrong, or that asks for status bits which the library passes over. */
function meaning(argv: readonly string[]): Invocation | undefined {
  try {
    const invocation = parse(argv);
    const creates = invocation.command === 'I' || invocation.command === 'A';
    if (creates && ((invocation.values.status?.set ?? 0) & ~SETTABLE) !== 0) return undefined;
    if ([...(invocation.labelBits?.values() ?? [])].some(Number.isNaN)) return undefined;
    return invocation;
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

before(requirePrerequisites);

test(`${SESSIONS} random sessions of the library leave the tables of the command (SEED=${SEED})`, {
  skip: SELF_TEST ? 'the reference has no library' : false,
}, async (t) => {
  const commanded = await Table.create('sesc', { purpose: 'answer' });
  const called = await Table.create('sesl');
  const conntrack = await Conntrack.open({ netns: called.namespace.pid });
  const counts = { changes: 0, succeeded: 0, refused: 0 };
  try {
    for (let number = 0; number < SESSIONS; number++) {
      const random = new Random(Math.imul(SEED ^ number, 0x9e3779b1));
      const changes = new Changes(random, randomTheme(random));
      const lines: string[] = [];
      await commanded.fill([]);
      await conntrack.flush();
      const wanted = 5 + random.below(5);
      for (let n = 0; n < wanted; ) {
        const { argv } = n < 3 ? changes.create(random.pick(['I', 'A'])) : changes.any();
        n++;
        const invocation = meaning(argv);
        if (!invocation) continue;
        const outcome = await commanded.run(argv);
        lines.push(`conntrack ${quote(argv)}: ${outcome.status}`);
        let succeeded: boolean;
        try {
          succeeded = await call(conntrack, invocation);
        } catch (error) {
          if (!(error instanceof ConntrackError)) throw error;
          succeeded = false;
          lines.push(`  ${error.message}`);
        }
        counts.changes++;
        if (succeeded) counts.succeeded++;
        else counts.refused++;
        assert.equal(succeeded, outcome.status === '0', `session ${number}\n${lines.join('\n')}\n${outcome.stderr}`);
      }
      assert.deepEqual(await called.saved(), await commanded.saved(), `session ${number}\n${lines.join('\n')}`);
    }
  } finally {
    await conntrack.close();
    await commanded.namespace.close();
    await called.namespace.close();
  }
  t.diagnostic(`${counts.changes} changes, ${counts.succeeded} succeeded, ${counts.refused} were refused or found nothing`);
  assert.ok(counts.succeeded > counts.changes / 3, 'too few changes succeed');
});
