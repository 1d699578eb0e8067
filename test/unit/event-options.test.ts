// The options that only -E has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine } from '../../src/cli/command-line.js';
import { UsageError } from '../../src/cli/usage-error.js';

const parse = (line: string) => parseCommandLine(line.split(' '), { readProtocols: () => '' });

test('--count behind -E is a number of events, before it the command -C', () => {
  assert.equal(parse('-E --count 5').values.eventCount, 5);
  assert.equal(parse('-E --count=0').values.eventCount, 0);
  assert.equal(parse('--event expect --count 7').values.eventCount, 7);
  assert.equal(parse('--count').command, 'C');
  assert.equal(parse('--count expect').table, 'expect');
  for (const line of ['--count 5 -E', '-E --count', '-E --count x', '-E --count -1', '-L --count 5', '-E -C'])
    assert.throws(() => parse(line), UsageError, line);
});

test('--for, --initial and --resync', () => {
  assert.equal(parse('-E --for 0.5').values.duration, 0.5);
  assert.equal(parse('-E --for 10').values.duration, 10);
  const { values } = parse('-E expect --initial --resync');
  assert.deepEqual([values.initial, values.resync], [true, true]);
  for (const line of [
    '-E --for',
    '-E --for x',
    '-E --for -1',
    '-E --for 1e3',
    '-E --for 99999999',
    '-L --for 5',
    '-L --initial',
    '-D --resync',
    '-E --initial=1',
  ])
    assert.throws(() => parse(line), UsageError, line);
});
