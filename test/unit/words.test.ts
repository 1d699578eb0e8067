// Words, as they are typed: bin/conntrack finds the bundle of a word, and everything else goes the way of letters.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-rows.js';
import { helpOn, helpText, helpTopics } from '../../src/cli/help-text.js';
import { wordHelp } from '../../src/words/word-help.js';
import { everyWord, words } from '../../src/words/words.js';
import { PROJECT, readProjectFile } from '../support/project.js';

function conntrack(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(PROJECT, 'bin/conntrack'), ...argv], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('every word has a bundle with compiled code, and a name that no other word is near to', () => {
  for (const { name } of everyWord()) {
    assert.match(name, /^[a-z][a-z-]*$/);
    for (const file of [`${name}.cjs`, `${name}.cjs.cache`]) assert.ok(existsSync(join(PROJECT, 'dist/words', file)), file);
  }
});

test('every word tells its help', () => {
  for (const row of words())
    for (const asked of [
      [row.name, '--help'],
      [row.name, '-h'],
      ['help', row.name],
      ['-h', row.name],
    ])
      assert.deepEqual(conntrack(...asked), { status: 0, stdout: wordHelp(row), stderr: '' }, asked.join(' '));
});

test('help tells what -h tells, on every topic', async () => {
  assert.deepEqual(conntrack('help'), { status: 0, stdout: helpText(), stderr: '' });
  for (const topic of helpTopics()) assert.equal(conntrack('help', topic).stdout, await helpOn(topic), topic);
  for (const spelled of ['L', '-L', 'dump', '--dump', 'list']) assert.equal(conntrack('help', spelled).stdout, helpText('dump'));
});

test('what may stand at the end of a filter, for shells', () => {
  const complete = (...argv: string[]) => conntrack('complete-filter', '--', ...argv);
  assert.deepEqual(complete('tcp and dst po'), { status: 0, stdout: 'filter-words:2\nport\tport of any end\n', stderr: '' });
  assert.deepEqual(complete('tcp', 'and', 'dst', 'po'), complete('tcp and dst po'));
  assert.match(complete('tcp and not ').stdout, /^filter-words:0\nall\t[\s\S]*\nbytes\tbytes of both directions\n/);
  for (const text of ['bogus and ', '$(id) ', '-D', '--', 'label ', '\u{1b}[31m ', 'x'.repeat(100_000)]) {
    const { status, stdout, stderr } = complete(text);
    assert.deepEqual([status, stderr], [0, ''], text);
    assert.match(stdout, /^filter-words:\d+\n([a-z0-9-]+\t[^\t\n]+\n)*$/);
  }
});

test('no list of words has those for programs', () => {
  for (const { name } of everyWord().filter((row) => row.unlisted)) {
    assert.ok(!words().some((row) => row.name === name));
    for (const text of [
      conntrack('help').stdout,
      conntrack('help', 'nosuch').stderr,
      conntrack('complete-filtr').stderr,
      readProjectFile('dist/man/conntrack.8').replaceAll('\\-', '-'),
    ])
      assert.ok(!text.includes(name), name);
  }
});

test('a topic that does not exist is an error with a suggestion', () => {
  const { status, stdout, stderr } = conntrack('help', 'updte');
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^conntrack: there is no help on 'updte'; did you mean update\?\n {2}hint: conntrack help lists /);
  assert.match(conntrack('-h', 'updte').stderr, /no help on 'updte'; did you mean update\?/);
});

test('a word that does not exist prints the help, as it always did, and says what may be meant', () => {
  for (const [word, meant] of [
    ['hlep', 'help'],
    ['dump', '-L'],
    ['list', '-L'],
    ['delete', '-D'],
    ['HELP', 'help'],
  ] as const)
    assert.deepEqual(conntrack(word), {
      status: 0,
      stdout: helpText(),
      stderr: `conntrack: there is no word '${word}'; did you mean conntrack ${meant}?\n`,
    });
  for (const words of [[], ['foo'], ['constructor'], ['../conntrack'], ['word-line']])
    assert.deepEqual(conntrack(...words), { status: 0, stdout: helpText(), stderr: '' }, words.join(' '));
});

test('usage refuses orders that need more than one list, unless it may look on', () => {
  for (const sort of ['average', 'rateReply', 'packetRate', 'begun']) {
    const { status, stdout, stderr } = conntrack('usage', '--sort', sort);
    assert.deepEqual([status, stdout], [2, '']);
    assert.equal(stderr, `conntrack: --sort ${sort} needs more than one list\n  hint: look on for some seconds: --over 5\n`);
  }
});

test('help, words and commands do not share names by mistake', () => {
  const names = COMMANDS.flatMap((row) => [...row.names]);
  assert.deepEqual(
    words()
      .map((row) => row.name)
      .filter((name) => names.includes(name)),
    ['help'],
  );
});
