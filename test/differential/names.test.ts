// Names from outside on a live kernel: a program of any name changes flows while others watch, and messages mention files and options of
// any name. The output has one line for each thing, and nothing in it controls a terminal or `-R`.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { safeText } from '../../src/safe-text.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import type { Outcome } from '../support/outcome.js';
import { REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Table } from '../support/table.js';
import { Watchers } from '../support/watchers.js';

const flow = (sport: number): NewFlow => ({
  proto: 17,
  original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
  timeout: 10000,
});

/** Outcomes have a character for each byte. */
const utf8 = new TextDecoder('utf-8', { fatal: true });
const lines = (latin1: string) => utf8.decode(Buffer.from(latin1, 'latin1')).split('\n').slice(0, -1);
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u;

function assertHarmless({ stdout, stderr }: Pick<Outcome, 'stdout' | 'stderr'>): void {
  for (const line of [...lines(stdout), ...lines(stderr)]) assert.doesNotMatch(line, CONTROLS);
}

before(requirePrerequisites);
suite('names of programs', { skip: SELF_TEST ? 'the reference prints them raw' : false }, () => {
  /** What watchers show while a program of this name creates flow 3. The table has flows 1 and 2 already. */
  async function watched(table: Table, name: string | Uint8Array, commands: readonly (readonly string[])[]): Promise<Outcome[]> {
    await table.fill([flow(1), flow(2)]);
    await table.namespace.ask('write', '/proc/self/comm', name);
    const watchers = await Watchers.start(table.namespace, commands);
    await table.namespace.netlink([newFlow(flow(3))], 'kept');
    return watchers.end();
  }

  for (const [name, word, inText] of [
    ['x\n-F\n#', 'x\\x0a-F\\x0a#', 'x\\x0a-F\\x0a#'],
    ['x -m 7', 'x\\x20-m\\x207', 'x -m 7'],
    ['\x1b[2J"\\\t', '\\x1b[2J\\x22\\x5c\\x09', '\\x1b[2J"\\\\x09'],
    ['\u202ex\u2028\u0085', '\\u{202e}x\\u{2028}\\u{85}', '\\u{202e}x\\u{2028}\\u{85}'],
    [Uint8Array.of(0x9b, 0x32, 0x4a, 0xc3), '\\x9b2J\\xc3', '\\x9b2J\\xc3'],
  ] as const)
    test(`a program called ${word} says nothing but its name`, async () => {
      await using table = await Table.create('names', { purpose: 'answer' });
      const [save, text, json, reference] = await watched(table, name, [
        [UNDER_TEST, '-E', '-o', 'save'],
        [UNDER_TEST, '-E'],
        [UNDER_TEST, '-E', '-o', 'ndjson'],
        [REFERENCE, '-E', '-o', 'save'],
      ]);
      for (const outcome of [save!, text!, json!]) {
        assert.equal(lines(outcome.stdout).length, 1);
        assertHarmless(outcome);
      }
      assert.match(save!.stdout, /^-A -t 10000 .* \[USERSPACE\] portid=\d+ progname=[^ ]+\n$/);
      assert.ok(save!.stdout.endsWith(` progname=${word}\n`), save!.stdout);
      assert.ok(text!.stdout.endsWith(` progname=${inText}\n`), text!.stdout);
      assert.equal(JSON.parse(lines(json!.stdout)[0]!).program, typeof name === 'string' ? name : '\ufffd2J\ufffd');
      assert.notEqual(reference!.stdout, save!.stdout, 'docs/differences.md tells of a difference that is none');

      // Loaded, the line makes the flow it is about, and does nothing else.
      const before = await table.saved();
      await table.fill([flow(1), flow(2)]);
      const loaded = await table.load(save!.stdout);
      assert.equal(loaded.status, '0', loaded.stderr);
      assert.deepEqual(await table.saved(), before);
    });

  test('a harmless name is printed as the C tool prints it', async () => {
    await using table = await Table.create('names', { purpose: 'answer' });
    for (const [name, format] of [
      ['größe', ['-o', 'save']],
      ['größe', []],
      ['tmux: a\\b"', []],
      ['日本語', ['-o', 'extended']],
    ] as const) {
      const [ours, theirs] = await watched(table, name, [
        [UNDER_TEST, '-E', ...format],
        [REFERENCE, '-E', ...format],
      ]);
      assert.ok(lines(ours!.stdout)[0]!.endsWith(` progname=${name}`), ours!.stdout);
      assert.equal(ours!.stdout, theirs!.stdout);
    }
  });
});

suite('names in messages', { skip: SELF_TEST ? 'our own words' : false }, () => {
  const NAME = 'no\n-F\x1b[2J\x7f\u009b\u202e\u2028';
  const SAFE = 'no\\x0a-F\\x1b[2J\\x7f\\u{9b}\\u{202e}\\u{2028}';
  let table: Table;
  before(async () => {
    table = await Table.create('messages', { purpose: 'answer' });
  });
  after(() => table[Symbol.asyncDispose]());

  for (const words of [
    ['-R', NAME],
    ['-L', '-o', 'labels', '--labelmap', NAME],
    ['-L', '-l', NAME],
    ['-L', '-l', 'x', '--labelmap', NAME],
    ['-L', '--netns', NAME],
    ['-L', '--netns', `/${NAME}`],
    ['-L', '-s', NAME],
    ['-L', '-p', NAME],
    ['-L', `--${NAME}`],
    ['-L', `-\u202e${NAME}`],
    ['-h', NAME],
    ['help', NAME],
    ['help', `--${NAME}`],
  ])
    test(`conntrack ${safeText(words.join(' '))}`, async () => {
      const outcome = await table.run(words);
      assertHarmless(outcome);
      assert.ok(outcome.stderr.includes(SAFE), outcome.stderr);
      const json = await table.run([...words, '-o', 'json']);
      assertHarmless(json);
    });

  test('a file of any name is told with the line, and with the column', async () => {
    const file = `/etc/xtables/${NAME}`;
    await table.namespace.ask('write', file, '-A -s 192.0.2.1\n-D --sport\n');
    const outcome = await table.run(['-R', file]);
    assertHarmless(outcome);
    assert.equal(outcome.status, '2');
    assert.ok(outcome.stderr.startsWith(`conntrack: /etc/xtables/${SAFE}:1`), outcome.stderr);
    await table.namespace.ask('write', file, 'not a label\n');
    const labels = await table.run(['-L', '-o', 'labels', '--labelmap', file]);
    assertHarmless(labels);
    assert.match(labels.stderr, /has no line of the form NUMBER NAME/);
  });

  test('a message in JSON is the same text', async () => {
    const { stderr } = await table.run(['-L', '--netns', `/${NAME}`, '-o', 'json']);
    assert.equal(JSON.parse(stderr).error.message, `there is no network namespace /${SAFE}`);
  });
});
