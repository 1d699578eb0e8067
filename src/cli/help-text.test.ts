import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { type ParseEnvironment, parseCommandLine } from './command-line.js';
import { COMMANDS } from './command-rows.js';
import { helpText, helpTopic } from './help-text.js';
import { needOf } from './legality.js';
import { OPTIONS, type OptionRow } from './options.js';
import { protocolOptions } from './protocol-options.js';

const env: ParseEnvironment = { readProtocols: () => '' };
const rows = Object.values<OptionRow>(OPTIONS);
const topics = [
  undefined,
  'expect',
  'esp',
  ...COMMANDS.map((row) => row.names[0]),
  ...PROTOCOLS.map((protocol) => protocol.name),
];

for (const topic of topics) {
  test(`help ${topic ?? ''} is plain text of at most 100 columns`, () => {
    const text = helpText(topic);
    assert.match(text, /[^\n]\n$/);
    for (const line of text.split('\n')) {
      assert.ok(line.length <= 100, line);
      assert.match(line, /^[ -~]*$/);
      assert.equal(line, line.trimEnd());
    }
    assert.doesNotMatch(text, /undefined|\[object|\n\n\n/);
  });
}

test('the general help has every command, option and protocol', () => {
  const text = helpText();
  for (const row of COMMANDS) for (const name of row.names) assert.ok(text.includes(`--${name}`), name);
  for (const row of rows) {
    for (const name of row.names) assert.ok(text.includes(`--${name}`), name);
    if (row.short !== undefined) assert.ok(text.includes(`-${row.short}, `), row.short);
  }
  for (const protocol of PROTOCOLS)
    for (const row of Object.values(protocolOptions(protocol))) assert.ok(text.includes(`--${row.names[0]}`), row.names[0]);
});

test('the help of a command has the options it takes and no others', () => {
  for (const command of COMMANDS.filter((row) => row.tables.length > 0 && row.letter !== 'h')) {
    const text = helpText(command.names[0]);
    for (const row of rows.filter((it) => !it.everywhere)) {
      const takes = command.tables.some((table) => needOf(row, command.letter, table));
      const short = row.short === undefined ? '' : `-${row.short}, `;
      assert.equal(
        new RegExp(`\\n  ${short.replace(/\W/g, '\\$&')}--${row.names[0]}[ ,\\n]`).test(text),
        takes,
        `-${command.letter} ${row.names[0]}`,
      );
    }
  }
});

test('every choice of a value is in the help of its option', () => {
  const text = helpText().replace(/\s+/g, ' ');
  for (const row of rows) for (const choice of row.choices ?? []) assert.ok(text.includes(choice), choice);
});

test('the help of a protocol has all names of its options', () => {
  for (const protocol of PROTOCOLS) {
    const text = helpText(protocol.name);
    for (const row of Object.values(protocolOptions(protocol)))
      for (const name of row.names) assert.ok(text.includes(`--${name}`), name);
    for (const state of protocol.states ?? []) assert.ok(text.includes(state), state);
  }
  assert.match(helpText('esp'), /no options of its own/);
});

test('topics are commands by name or letter, and protocols', () => {
  assert.equal(helpTopic('D'), 'delete');
  assert.equal(helpTopic('delete'), 'delete');
  assert.equal(helpTopic('counter'), 'count');
  assert.equal(helpTopic('list'), 'dump');
  assert.equal(helpTopic('Tcp'), 'tcp');
  for (const word of ['', 'foo', 'del', 'esp', '__proto__']) assert.equal(helpTopic(word), undefined);
});

test('every example is a command line that the parser takes', () => {
  let examples = 0;
  for (const topic of topics) {
    const text = helpText(topic).replace(/ \\\n +/g, ' ');
    for (const match of text.matchAll(/^ {2}conntrack (-.*?)(?: {2,}.*|)$/gm)) {
      const words = match[1]!.replace(/ [<>] .*$/, '').split(' ');
      assert.doesNotThrow(() => parseCommandLine(words, env), words.join(' '));
      examples++;
    }
  }
  assert.ok(examples > 20);
});
