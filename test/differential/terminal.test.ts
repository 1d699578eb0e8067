// Output that only appears on a terminal. `script` makes the terminal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, UNDER_TEST } from '../support/project.js';

requirePrerequisites();

const TUPLE = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53';
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
  assert.equal((await namespace.run([UNDER_TEST, '-I', '-t', '60', ...TUPLE.split(' ')])).status, 0);
  assert.doesNotMatch(await onTerminal(namespace, `${UNDER_TEST} -L`), /no rule/);
});

test('-R says what it has done, and how far it is when that takes long', async () => {
  await using namespace = await Namespace.create('load');
  const load = `echo '-A -t 60 ${TUPLE}\n-U -m 3' | ${UNDER_TEST} -R -`;
  assert.match(
    await onTerminal(namespace, load),
    /^udp .* mark=3 .*\nconntrack: standard input: 1 flow entries created or updated, 1 other lines run\n$/,
  );
  assert.equal((await namespace.run(['sh', '-c', load])).stderr.toString(), '');
  // This many lines take more than a second on any machine.
  const lines = `seq 1 200000 | sed 's/.*/-A -t 60 -m & ${TUPLE}/'`;
  const { stdout } = await namespace.run(['script', '-qec', `${lines} | ${UNDER_TEST} -R -`, '/dev/null'], {
    timeLimit: 120_000,
  });
  const pictures = stdout.toString().split('\r\x1b[K');
  assert.equal(pictures.at(-1), 'conntrack: standard input: 200,000 flow entries created or updated\r\n');
  assert.ok(pictures.length > 3);
  for (const picture of pictures.slice(1, -1))
    assert.match(picture, /^(conntrack: standard input: [\d,]+ (of 200,000 lines|lines checked))?$/);
});
