// Whatever somebody writes as a filter, reading it ends soon, with a filter or with an error that tells a place within the text; what is
// suggested instead is a filter. Expressions are made from the grammar and damaged, or put together from words. How to run it: target.ts.

import assert from 'node:assert/strict';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { completeFilterText } from '../../src/ctnetlink/filter/complete.js';
import { formatFlowFilter } from '../../src/ctnetlink/filter/format.js';
import { parseToFlowFilter } from '../../src/ctnetlink/filter/parser.js';
import { FOREIGN, OPERATORS, TERMS } from '../../src/ctnetlink/filter/terms.js';
import { FilterError } from '../../src/errors.js';
import { safeText } from '../../src/safe-text.js';
import { randomExpression } from '../support/filter-text.js';
import type { Random } from '../support/random.js';
import { fuzz, REFUSED, SOUND } from './target.js';

const WORDS = [...TERMS.flatMap((row) => row.words), ...OPERATORS, ...FOREIGN.keys()];
const VALUES =
  '0 1 80 65535 65536 4294967296 9007199254740993 1.5M 1Ki 1.3k 0x10/0xf0 0x1f/0xf0 1-2 2-1 1- -1 1h30m 30m1h 5ms 2026-11-28T10:00:00Z ' +
  '10.0.0.1 10.0.0.0/8 10.1.2.3/8 10.0.0.1:80 [::1]:80 :: ::/0 1.2.3.4-1.2.3.9 private public established estab assured ftp client bytes ' +
  'http htpp constructor __proto__ toString "a b" \'x\' "\\"" "" \u0000 é \u202e 😀 \ud800';
const PUNCTUATION = [
  '(',
  ')',
  '{',
  '}',
  ',',
  '!',
  '=',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '&',
  '&&',
  '|',
  '||',
  '#',
  '"',
  "'",
  '-',
  '\n',
  '\t',
  ' ',
];
const values = VALUES.split(' ');

function soup(random: Random): string {
  const count = random.chance(0.02) ? 400 : random.below(14);
  return Array.from({ length: count }, () =>
    random.pick([random.pick(WORDS), random.pick(WORDS), random.pick(values), random.pick(PUNCTUATION)]),
  ).join(random.pick([' ', ' ', ' ', '']));
}

function damaged(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const piece = random.chance(0.5) ? random.pick(PUNCTUATION) : random.pick(random.chance(0.5) ? WORDS : values);
  return text.slice(0, at) + random.pick([piece, ` ${piece} `, '']) + text.slice(at + random.below(4));
}

function someText(random: Random): string {
  if (random.chance(0.3)) return soup(random);
  if (random.chance(0.02))
    return `${random.pick(['(', 'not ', '!', 'tcp and (', 'port {'])}`.repeat(random.below(1000)).slice(0, 4096);
  let { text } = randomExpression(random);
  for (let n = random.below(3); n > 0; n--) text = damaged(random, text);
  return text.slice(0, 4096);
}

/** Milliseconds of processor time that reading 4 KiB may take, with the compiler's and the collector's. */
const LONGEST = 300;

fuzz({ name: 'expressions', share: 0.75, sound: 0.15 }, (random) => {
  const text = someText(random);
  const begun = process.cpuUsage();
  try {
    const filter = parseToFlowFilter(text);
    const canonical = formatFlowFilter(filter);
    assert.equal(
      formatFlowFilter(parseToFlowFilter(canonical, { limits: { length: 1 << 20 } })),
      canonical,
      JSON.stringify(text),
    );
    compileFilter(filter, () => 0);
    return SOUND;
  } catch (error) {
    if (!(error instanceof FilterError)) throw new Error(`${JSON.stringify(text)}: ${(error as Error).stack}`);
    const { offset, length, suggestion, message, hint = '' } = error;
    assert.ok(offset >= 0 && length >= 0 && offset + length <= text.length, `${JSON.stringify(text)}: ${offset} + ${length}`);
    assert.equal(safeText(message + hint), message + hint);
    assert.doesNotMatch(message.replace(/'.*'/s, ''), /undefined|NaN|\[object/);
    if (suggestion !== undefined)
      assert.doesNotThrow(() => parseToFlowFilter(suggestion), `${JSON.stringify(text)} → ${suggestion}`);
    return REFUSED;
  } finally {
    const took = process.cpuUsage(begun).user / 1000;
    assert.ok(took < LONGEST, `${took} ms for ${JSON.stringify(text)}`);
  }
});

fuzz({ name: 'completion of expressions', share: 0.25, sound: 0.3 }, (random) => {
  const text = someText(random);
  const cursor = random.below(text.length + 1);
  const found = completeFilterText(text, cursor);
  for (const { text: word, help } of found) assert.ok(word.length > 0 && help !== undefined, JSON.stringify(text));
  return found.length > 0 ? SOUND : REFUSED;
});
