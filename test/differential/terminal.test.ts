// What only somebody at a terminal is told. `script` makes the terminal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, UNDER_TEST } from '../support/project.js';

requirePrerequisites();

const CLOSING = 'conntrack v1.4.9 (conntrack-tools): 0 flow entries have been shown.\n';

/** What a shell line prints on a terminal. */
async function onTerminal(namespace: Namespace, line: string): Promise<string> {
  const { stdout } = await namespace.run(['script', '-qec', line, '/dev/null']);
  return stdout.toString().replaceAll('\r', '');
}

test('an empty table says why it may be empty, to a terminal', async () => {
  await using namespace = await Namespace.create('empty');
  assert.match(
    await onTerminal(namespace, `${UNDER_TEST} -L`),
    /^conntrack: (nothing is tracked here|the table is empty): .*no rule of this network namespace uses connection tracking\n {2}hint: .*\n/,
  );
  for (const words of ['-L -p tcp', '-L expect', '-L dying', '-L -o json', '-L --netns all -p udp', '-L 2>&1 | cat'])
    assert.doesNotMatch(await onTerminal(namespace, `${UNDER_TEST} ${words}`), /no rule/, words);
  const { stdout, stderr } = await namespace.run([UNDER_TEST, '-L']);
  assert.deepEqual([stdout.toString(), stderr.toString()], ['', CLOSING]);
});

test('a table with entries has nothing to explain', async () => {
  await using namespace = await Namespace.create('full');
  const tuple = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53';
  assert.equal((await namespace.run([UNDER_TEST, '-I', '-t', '60', ...tuple.split(' ')])).status, 0);
  assert.doesNotMatch(await onTerminal(namespace, `${UNDER_TEST} -L`), /no rule/);
});
