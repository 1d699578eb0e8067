import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../cli/usage-error.js';
import { parseWordLine } from './word-line.js';
import { type WordRow, wordByName } from './words.js';

const strict: WordRow = {
  name: 'sample',
  synopsis: '[EXPRESSION]',
  help: 'For these tests.',
  about: [],
  options: {
    limit: { short: 'n', value: 'NUMBER', help: 'At most so many.' },
    output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'How.' },
    by: { value: 'KEY', repeated: true, help: 'Groups.' },
    reverse: { help: 'The other way round.' },
  },
  examples: [],
};
const row: WordRow = { ...strict, operands: { kind: 'topic', most: 1 } };

const parse = (line: string, of = row) => parseWordLine(of, line.split(' ').filter(Boolean));

test('values, switches, repeated options and operands', () => {
  assert.deepEqual(parse('-n 5 --output=json --by src --by dst --reverse tcp'), {
    values: { limit: '5', output: 'json', by: ['src', 'dst'], reverse: true },
    operands: ['tcp'],
    help: false,
  });
  assert.deepEqual(parse(''), { values: {}, operands: [], help: false });
  assert.deepEqual(parse('-- -L').operands, ['-L']);
  assert.deepEqual(parse('--limit=-1').values, { limit: '-1' });
});

test('help wins over everything', () => {
  for (const line of ['-h', '--help', '--no-such-option -h', '--reverse=x -h'])
    assert.equal(parse(line, strict).help, true, line);
});

for (const [line, message] of [
  ['--limt 5', "sample: unknown option '--limt'; did you mean --limit?"],
  ['-x', "sample: unknown option '-x'"],
  ['--toString', "sample: unknown option '--toString'"],
  ['--limit', '--limit needs a value: --limit NUMBER'],
  ['--limit --reverse', '--limit needs a value: --limit NUMBER'],
  ['-n', '-n needs a value: -n NUMBER'],
  ['--reverse=yes', "--reverse takes no value, got 'yes'"],
  ['-n 1 --limit 2', '--limit is given twice'],
  ['-o jsn', "-o must be one of text, json, not 'jsn'; did you mean json?"],
  ['tcp', "sample: 'tcp' is one word too many"],
] as const)
  test(`conntrack sample ${line}`, () => {
    assert.throws(
      () => parse(line, strict),
      (error: unknown) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, message);
        assert.equal(error.hint, 'see conntrack sample --help');
        assert.equal(error.exitStatus, 2);
        return true;
      },
    );
  });

test('a topic may look like an option', () => {
  assert.deepEqual(parseWordLine(wordByName('help')!, ['--dump']).operands, ['--dump']);
});
