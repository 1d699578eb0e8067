import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { OverlayTester } from '../../test/support/terminal-input.js';
import { AwaitedTexts } from './awaited-text.js';
import type { TextLine } from './text-pane.js';

type Signal = { readonly aborted: boolean };

function question() {
  let drawn = 0;
  const texts = new AwaitedTexts(() => drawn++);
  const asked: { signal: Signal; answer: (lines: readonly TextLine[]) => void; fail: (error: unknown) => void }[] = [];
  const open = () =>
    texts.open({
      title: 'Title',
      waiting: 'looking',
      ask: (signal) =>
        new Promise((answer, fail) => {
          asked.push({ signal, answer, fail });
        }),
      rest: () => ['the rest'],
    });
  return { texts, asked, open, drawn: () => drawn };
}

const linesOf = (overlay: ConstructorParameters<typeof OverlayTester>[0]) =>
  new OverlayTester(overlay).lines.slice(1, -1).map((line) => line.slice(1, -1).trim());

suite('a text that is waited for', () => {
  test('says so, and then has the answer', async () => {
    const { asked, open, drawn } = question();
    const overlay = open();
    await setImmediate();
    assert.deepEqual(linesOf(overlay), ['looking', 'the rest']);
    asked[0]!.answer([{ text: 'found' }]);
    await setImmediate();
    assert.deepEqual([linesOf(overlay), drawn()], [['found', 'the rest'], 1]);
  });

  test('shows a failure in its place', async () => {
    const { asked, open } = question();
    const overlay = open();
    await setImmediate();
    asked[0]!.fail(new Error('no such flow'));
    await setImmediate();
    assert.deepEqual(linesOf(overlay), ['cannot say: no such flow', 'the rest']);
  });

  test('is no longer asked for once it is closed, and nothing is drawn', async () => {
    const { texts, asked, open, drawn } = question();
    const overlay = open();
    await setImmediate();
    texts.seen(overlay);
    assert.equal(asked[0]!.signal.aborted, false);
    texts.seen(undefined);
    assert.equal(asked[0]!.signal.aborted, true);
    asked[0]!.fail(new Error('aborted'));
    await texts.close();
    assert.equal(drawn(), 0);
  });

  test('however often it is opened, one question is asked at a time, and the newest is the next', async () => {
    const { asked, open } = question();
    for (let n = 0; n < 5; n++) open();
    await setImmediate();
    assert.equal(asked.length, 1);
    const last = open();
    assert.equal(asked[0]!.signal.aborted, true);
    asked[0]!.fail(new Error('aborted'));
    await setImmediate();
    assert.equal(asked.length, 2);
    asked[1]!.answer([{ text: 'newest' }]);
    await setImmediate();
    assert.deepEqual(linesOf(last), ['newest', 'the rest']);
  });
});
