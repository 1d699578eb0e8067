// Differences between Bun, with which the standalone executable is made, and libuv: closed, full or slow descriptors, signals, standard
// input. Every command under test must behave the same, so these tests also run with bin/conntrack.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { everyWord } from '../../src/words/words.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { AS_NOBODY, requirePrerequisites, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal } from '../support/pseudo-terminal.js';
import { until } from '../support/watchers.js';

requirePrerequisites();

const COUNT = 5000;
const FILE = Array.from(
  { length: COUNT },
  (_, n) => `-I -t 500 -s 10.0.${n >> 8}.${n & 255} -d 198.51.100.1 -p udp --sport 1 --dport 53\n`,
).join('');

async function filled(name: string): Promise<Namespace> {
  const namespace = await Namespace.create(name);
  const { status, stderr } = await namespace.run([UNDER_TEST, '-R', '-'], { input: Buffer.from(FILE) });
  assert.equal(status, 0, stderr.toString());
  return namespace;
}

/** Runs a shell line in which $1 is the command. */
async function shell(namespace: Namespace, line: string): Promise<{ status: string; stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await namespace.run(['sh', '-c', line, 'sh', UNDER_TEST]);
  return { status: String(status), stdout: stdout.toString(), stderr: stderr.toString() };
}

test('a table goes through standard input and a pipe that comes in pieces', async () => {
  await using namespace = await filled('pipe');
  const { stdout } = await shell(namespace, '"$1" -C');
  assert.equal(stdout, `${COUNT}\n`);
  const again = await shell(
    namespace,
    '"$1" -L -o save >table; "$1" -F; { head -c 1001 table; sleep 1; tail -c +1002 table; } | "$1" -R -; "$1" -C; rm table',
  );
  assert.equal(again.stdout, `${COUNT}\n`, again.stderr);
});

test('a closed pipe ends quietly, a full disk is told', async () => {
  await using namespace = await filled('outputs');
  for (const words of ['-L', '-L -o xml', '-L -o json', '-D -o save --dry-run']) {
    const closed = await shell(namespace, `{ "$1" ${words} 2>&3; echo "status $?" >&2; } 3>/dev/null | head -n 1 >/dev/null`);
    assert.equal(closed.stderr, 'status 141\n', words);
    const full = await shell(namespace, `"$1" ${words} >/dev/full`);
    assert.equal(full.status, '1', words);
    assert.match(full.stderr, /no space left on the device/, words);
  }
});

test('a reader that is slow gets everything', async () => {
  await using namespace = await filled('slow');
  const { stdout } = await shell(namespace, '"$1" -L 2>/dev/null | { sleep 1; wc -l; }');
  assert.equal(stdout.trim(), String(COUNT));
});

test('a signal ends a list that waits for its reader', async () => {
  await using namespace = await filled('signals');
  for (const [signal, status] of [
    ['INT', 130],
    ['TERM', 143],
    ['HUP', 129],
  ] as const) {
    // In front, since a shell has SIGINT ignored in what runs behind.
    const line = `mkfifo way; exec 3<>way; timeout --preserve-status -s ${signal} 1 "$1" -L >&3 2>/dev/null; echo $?; rm way`;
    const { stdout } = await shell(namespace, line);
    assert.equal(stdout, `${status}\n`, signal);
  }
});

// Each family's own dump at the same time as the other's, where there is a processor for each; one of both otherwise. A filter by tuple
// leaves entries out of the dump of each family in any case. The sample is a dump, too.
const DUMPS = [
  ['', '-L', 3],
  ['taskset -c 0', '-L', 1],
  ['taskset -c 0', '-L -p sctp', 3],
] as const;
for (const [how, words, dumps] of DUMPS)
  test(`a large table: dumps of ${how} ${words}`, {
    skip: how === '' && availableParallelism() === 1 ? 'one processor' : false,
  }, async () => {
    await using namespace = await Namespace.create('dumps');
    await namespace.ask('flood', [...manyFlows(17_500), ...manyFlows(15_500, 6)]);
    const line = `strace -f -qq -e trace=sendto -o trace ${how} "$1" ${words} 2>&1 >/dev/null | grep -o "[0-9]* flow" && grep -c DUMP trace; rm trace`;
    const { stdout } = await shell(namespace, line);
    assert.equal(stdout, `${words === '-L' ? 33_000 : 0} flow\n${dumps}\n`);
  });

test('without privilege it is said what is needed', async () => {
  await using namespace = await Namespace.create('nobody');
  for (const words of [['-L'], ['-D', '-p', 'tcp'], ['-F'], ['-E']]) {
    const { status, stderr } = await namespace.run([...AS_NOBODY, UNDER_TEST, ...words]);
    assert.equal(status, 1);
    assert.match(stderr.toString(), /CAP_NET_ADMIN/);
  }
});

test('every word is in it', async () => {
  await using namespace = await Namespace.create('words');
  for (const { name } of everyWord()) {
    const { status, stdout, stderr } = await namespace.run([UNDER_TEST, name, '--help']);
    assert.equal(status, 0, `${name}: ${stderr}`);
    assert.match(stdout.toString(), new RegExp(`Usage: conntrack ${name}\\b`));
  }
});

test('top draws on a terminal, and ends though nobody reads', async () => {
  await using namespace = await filled('top');
  const started = () => PseudoTerminal.start([UNDER_TEST, 'top'], { columns: 140, rows: 40, namespace });
  await using terminal = started();
  await terminal.waitForText('198.51.100.1');
  await using stopped = started();
  await stopped.waitForText('198.51.100.1');
  stopped.stopReading();
  // More pictures than a terminal keeps.
  for (let n = 0; n < 60; n++) {
    stopped.send('j');
    await delay(20);
  }
  terminal.send('q');
  stopped.signal('SIGTERM');
  assert.equal((await terminal.exited).status, 0);
  // Whoever does not read is not told that it has ended.
  await until('the end of top', () => !existsSync(`/proc/${stopped.pid}`));
});

test('the page of serve is in it', async () => {
  await using namespace = await Namespace.create('page');
  const answer = await shell(
    namespace,
    'mkfifo said; "$1" serve --no-auth --listen 127.0.0.1:8466 2>said & read -r first <said; curl -s --retry 9 --retry-connrefused --retry-delay 1 http://127.0.0.1:8466/; kill $!; wait; rm said',
  );
  const [, script] = /src="(assets\/[^"]+\.js)"/.exec(answer.stdout) ?? [];
  assert.ok(script, `${answer.stdout}${answer.stderr}`);
});
