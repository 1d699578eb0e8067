// Filters in text against an interpreter that knows true, false and unknown, on messages of every kind; and from text to text, and to
// objects and back. FILTER_CASES in the environment asks for more cases than the usual ones, SEED for others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { formatFlowFilter } from '../../src/ctnetlink/filter/format.js';
import { flatten } from '../../src/ctnetlink/filter/normal.js';
import { type Filter, toFlowFilter } from '../../src/ctnetlink/filter/object-input.js';
import { FILE_LIMITS, parseToFlowFilter } from '../../src/ctnetlink/filter/parser.js';
import { toFilter } from '../../src/ctnetlink/filter/to-object.js';
import { FlowReader } from '../../src/ctnetlink/flow.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { type JudgedFlow, randomExpression } from '../support/filter-text.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { randomFlow } from '../support/random-event.js';

const CASES = Number(process.env['FILTER_CASES'] ?? 40_000);
const MESSAGES = 8;
const NOW = 1_790_000_000_000;
const NLM_F_MULTI = 2;

const parse = (text: string) => parseToFlowFilter(text, { limits: FILE_LIMITS });

/** Messages of every kind, and the flows in them. */
function someMessages(random: Random, count: number): readonly { readonly message: Uint8Array; readonly given: JudgedFlow }[] {
  const view = createFlowView();
  const reader = new FlowReader();
  return Array.from({ length: count }, () => {
    const message = randomFlow(random)();
    const destroyed = message[4] === 2;
    const whole = !destroyed && random.chance(0.4);
    if (whole) message[6] = message[6]! | NLM_F_MULTI;
    view.decode(message, 0, message.length);
    return { message, given: { flow: reader.read(view).toJSON(), whole, destroyed, now: NOW } };
  });
}

test('a filter chooses what an interpreter of its text chooses', () => {
  const random = new Random(seedFromEnvironment(20260501));
  const view = createFlowView();
  const messages = someMessages(random, 4000);
  const found = { true: 0, false: 0, null: 0 };
  for (let n = 0; n < CASES; n += MESSAGES) {
    const { text, judge } = randomExpression(random);
    const wanted = compileFilter(parse(text), () => NOW);
    const refused = compileFilter(parse(`not (${text})`), () => NOW);
    for (let i = 0; i < MESSAGES; i++) {
      const { message, given } = random.pick(messages);
      view.decode(message, 0, message.length);
      const truth = judge(given);
      found[`${truth}`]++;
      const chosen = wanted ? wanted(view) : true;
      const left = refused ? refused(view) : true;
      if (chosen !== (truth === true) || left !== (truth === false))
        assert.fail(
          `${text} is ${truth}, found ${chosen} and ${left}\n${JSON.stringify(given)}\n${Buffer.from(message).toString('hex')}`,
        );
    }
  }
  for (const count of Object.values(found)) assert.ok(count > CASES / 50, JSON.stringify(found));
});

test('text, canonical text, object and JSON are the same filter', () => {
  const random = new Random(seedFromEnvironment(20260502));
  for (let n = 0; n < CASES / 8; n++) {
    const { text } = randomExpression(random);
    const filter = parse(text);
    const canonical = formatFlowFilter(filter);
    assert.ok(isDeepStrictEqual(parse(canonical), filter), `${text}\n${canonical}`);
    assert.equal(formatFlowFilter(parse(canonical)), canonical);
    const object = toFilter(filter);
    const read = flatten(toFlowFilter(JSON.parse(JSON.stringify(object)) as Filter));
    assert.ok(isDeepStrictEqual(read, filter), `${text}\n${canonical}\n${JSON.stringify(object)}\n${formatFlowFilter(read)}`);
    assert.ok(isDeepStrictEqual(toFilter(parse(canonical)), object));
  }
});
