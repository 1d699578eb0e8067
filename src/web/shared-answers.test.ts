import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SharedAnswers } from './shared-answers.js';

suite('answers that are shared', () => {
  const clock = { now: 0 };
  let made = 0;
  const make = async () => ({ sample: 1, made: ++made });
  const textOf = async (answer: Promise<{ readonly bytes: Uint8Array }>) => new TextDecoder().decode((await answer).bytes);

  test('are made once for those who ask within the time, and of the same sample', async () => {
    const answers = new SharedAnswers(400, () => clock.now);
    assert.equal(await textOf(answers.ask('a', 1, make)), '{"sample":1,"made":1}');
    clock.now += 399;
    assert.equal(await textOf(answers.ask('a', 1, make)), '{"sample":1,"made":1}');
    assert.equal(await textOf(answers.ask('b', 1, make)), '{"sample":1,"made":2}');
    assert.equal(await textOf(answers.ask('a', 2, make)), '{"sample":1,"made":3}');
    clock.now += 400;
    assert.equal(await textOf(answers.ask('a', 2, make)), '{"sample":1,"made":4}');
  });

  test('are not kept where a question is refused, nor more than some', async () => {
    const answers = new SharedAnswers(400, () => clock.now);
    const refused = () => answers.ask('wrong', 1, () => Promise.reject(new Error('no')));
    await assert.rejects(refused(), /no/);
    await new Promise(setImmediate);
    assert.ok(await answers.ask('wrong', 1, make));
    const before = made;
    for (let n = 0; n < 17; n++) await answers.ask(`${n}`, 1, make);
    await answers.ask('16', 1, make);
    assert.equal(made, before + 17);
    await answers.ask('0', 1, make);
    assert.equal(made, before + 18);
  });
});
