import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../usage-error.js';
import { splitLoadLine, splitPlainLine } from './load-words.js';

const CASES: readonly (readonly [string, readonly string[]])[] = [
  ['', []],
  ['   \t ', []],
  ['\r', []],
  ['# comment', []],
  ['  # comment', []],
  ['-D -s 1.2.3.4', ['-D', '-s', '1.2.3.4']],
  ['\t-D\t-s  1.2.3.4 ', ['-D', '-s', '1.2.3.4']],
  ['-D -s 1.2.3.4\r', ['-D', '-s', '1.2.3.4']],
  ['"3""00"', ['3', '00']],
  ['a"b c"', ['ab c']],
  ['a"b c"d', ['ab c', 'd']],
  ['"a\\"b" c\\d', ['a"b', 'c\\d']],
  ['""', ['']],
  ["'a b'", ["'a", "b'"]],
  ['"open to the end', ['open to the end']],
  ['-I # note', ['-I', '#', 'note']],
];

for (const [line, words] of CASES)
  test(`splits ${JSON.stringify(line)}`, () => assert.deepEqual(splitLoadLine(line).words, words));

test('columns count from 1', () => assert.deepEqual(splitLoadLine('  -D  "a b" c').columns, [3, 7, 13]));

test('limits of the C tool: 1023 characters a word, 253 words a line', () => {
  assert.equal(splitLoadLine('x'.repeat(1023)).words.length, 1);
  assert.throws(() => splitLoadLine('x'.repeat(1024)), UsageError);
  assert.equal(splitLoadLine('x '.repeat(253)).words.length, 253);
  assert.throws(() => splitLoadLine('x '.repeat(254)), UsageError);
});

test('the short way agrees with the long one wherever it answers', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '-', ' ', '\t', '"', '\\', '#', '\r'), maxLength: 30 });
  fc.assert(
    fc.property(text, (line) => {
      const plain = splitPlainLine(line);
      if (plain) assert.deepEqual(plain, splitLoadLine(line).words);
    }),
    { numRuns: 2000 },
  );
});
