import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { seedFromEnvironment } from '../../test/support/random.js';
import { click, key, OverlayTester, paste, wheel } from '../../test/support/terminal-input.js';
import { DeleteDialog, type DeleteQuestion } from './delete-dialog.js';
import type { TerminalInput } from './input.js';
import { DIM, REVERSE } from './style.js';

const SEED = 20264;
const FLOW = 'the flow tcp 10.0.0.1:2 → 10.0.0.2:80';

function dialog(question: Partial<DeleteQuestion> = {}, options: { columns?: number; rows?: number; ascii?: boolean } = {}) {
  const calls: string[] = [];
  const overlay = new DeleteDialog({
    what: FLOW,
    lines: [],
    warnings: [],
    count: 1,
    mustType: false,
    confirmed: () => calls.push('confirmed'),
    closed: () => calls.push('closed'),
    ...question,
  });
  return { overlay, calls, open: () => new OverlayTester(overlay, options) };
}

const MANY = { what: '1,204 flows of src 10.1.4.22', count: 1204, mustType: true } as const;
const SOME = { what: '12 flows', count: 12 } as const;

function focused(tester: OverlayTester): string {
  return tester.marked(tester.find('[ Cancel ]').y, REVERSE);
}

suite('asking before deleting', () => {
  test('says what goes, and warns', () => {
    const tester = dialog({ ...SOME, lines: ['tcp a', 'tcp b', 'tcp c'], warnings: ['one is your own'] }).open();
    const inside = tester.lines.map((line) => line.replace(/^│ | *│$/g, ''));
    assert.deepEqual(inside.slice(1, -2), [
      'Delete 12 flows?',
      '',
      '   tcp a',
      '   tcp b',
      '   tcp c',
      '',
      '!  one is your own',
      '',
    ]);
    assert.match(inside.at(-2)!, /^ +\[ Cancel \] {2}\[ Delete \]$/);
  });

  test('the cursor is on Cancel, and however often Enter comes, nothing is deleted', () => {
    const { open, calls } = dialog();
    const tester = open();
    assert.equal(focused(tester), '[ Cancel ]');
    assert.equal(tester.take('Enter').open, false);
    assert.deepEqual(calls, ['closed']);
  });

  test('Tab and arrows move, Enter presses', () => {
    const { open, calls } = dialog(SOME);
    const tester = open();
    const steps = [
      ['Tab', '[ Delete ]'],
      ['Tab', '[ Cancel ]'],
      ['Shift-Tab', '[ Delete ]'],
      ['Left', '[ Cancel ]'],
      ['Left', '[ Cancel ]'],
      ['Right', '[ Delete ]'],
      ['Right', '[ Delete ]'],
    ] as const;
    for (const [key, expected] of steps) assert.equal(focused(tester.take(key)), expected, key);
    assert.equal(tester.take('Enter').open, false);
    assert.deepEqual(calls, ['confirmed', 'closed']);
  });

  for (const name of ['Escape', 'q', 'n', 'Ctrl-c'])
    test(`${name} cancels, wherever the cursor is`, () => {
      const { open, calls } = dialog();
      assert.equal(open().take('Tab', name).open, false);
      assert.deepEqual(calls, ['closed']);
    });

  test('y deletes one flow at once', () => {
    const { open, calls } = dialog();
    assert.equal(open().take('y').open, false);
    assert.deepEqual(calls, ['confirmed', 'closed']);
  });

  for (const question of [SOME, MANY, { count: 1, mustType: true }])
    test(`y does not delete ${question.count}${'mustType' in question ? ' whose number must be typed' : ''}`, () => {
      const { open, calls } = dialog(question);
      assert.equal(open().take('y', 'Y').open, true);
      assert.deepEqual(calls, []);
    });

  test('clicks press the buttons', () => {
    const cancelled = dialog();
    assert.equal(cancelled.open().clickOn('ancel').open, false);
    assert.deepEqual(cancelled.calls, ['closed']);
    const deleted = dialog();
    assert.equal(deleted.open().clickOn('[ Delete').open, false);
    assert.deepEqual(deleted.calls, ['confirmed', 'closed']);
    const missed = dialog();
    const tester = missed.open().clickOn(FLOW);
    const { x, y } = tester.find('[ Cancel ]');
    for (const at of [x - 1, x + 10, x + 11, x + 22]) assert.equal(tester.take(click(at, y)).open, true, `${at - x}`);
    assert.deepEqual(missed.calls, []);
  });

  test('pasted text presses nothing', () => {
    const { open, calls } = dialog();
    assert.equal(open().take('Tab', paste('y\r'), paste('\r'), paste('q')).open, true);
    assert.deepEqual(calls, []);
  });

  test('nobody can agree to what was not drawn yet', () => {
    const { overlay, calls } = dialog();
    for (const input of [key('y'), key('Tab'), key('Right'), click(0, 0)]) assert.equal(overlay.take(input), true);
    assert.equal(overlay.take(key('Enter')), false);
    assert.deepEqual(calls, ['closed']);
  });
});

suite('typing the number', () => {
  for (const typed of ['1204', '1,204'])
    test(`${typed} lets Delete be pressed`, () => {
      const { open, calls } = dialog(MANY);
      const tester = open().type(typed).take('Tab', 'Enter');
      assert.deepEqual([tester.open, calls], [false, ['confirmed', 'closed']]);
    });

  for (const typed of ['', '120', '12040', '01204'])
    test(`${typed || 'nothing'} does not`, () => {
      const { open, calls } = dialog(MANY);
      const tester = open().type(typed).take('Tab', 'Enter').clickOn('[ Delete');
      assert.deepEqual([tester.open, calls], [true, []]);
      assert.match(tester.lines.join('\n'), typed === '' ? /type it first/ : /that is not 1204/);
    });

  test('Enter after the number goes to Delete, and the next one presses it', () => {
    const { open, calls } = dialog(MANY);
    const tester = open().type('1204').take('Enter');
    assert.deepEqual([tester.open, calls, focused(tester)], [true, [], '[ Delete ]']);
    assert.match(tester.lines.join('\n'), /Enter again deletes/);
    assert.equal(tester.take('Enter').open, false);
    assert.deepEqual(calls, ['confirmed', 'closed']);
  });

  test('Enter after another number says what to type, however often', () => {
    const { open, calls } = dialog(MANY);
    const tester = open().type('120').take('Enter', 'Enter', 'Enter');
    assert.deepEqual([tester.open, calls, focused(tester)], [true, [], '[ Cancel ]']);
    assert.match(tester.lines.join('\n'), /Type 1204 to delete: 120 .*that is not 1204/);
    assert.doesNotMatch(tester.take('4').lines.join('\n'), /that is not|again/);
    assert.equal(tester.take('Enter', 'Enter').open, false);
    assert.deepEqual(calls, ['confirmed', 'closed']);
  });

  test('whoever goes back to Cancel cancels', () => {
    for (const keys of [['Enter', 'Left'], ['Enter', 'Tab'], ['Left'], ['Tab', 'Tab']]) {
      const { open, calls } = dialog(MANY);
      assert.equal(
        open()
          .type('1204')
          .take(...keys, 'Enter').open,
        false,
      );
      assert.deepEqual(calls, ['closed'], keys.join(' '));
    }
  });

  test('a number that is changed after Enter needs Enter twice again', () => {
    const { open, calls } = dialog(MANY);
    const tester = open().type('1204').take('Enter', 'Backspace');
    assert.equal(focused(tester), '[ Cancel ]');
    assert.equal(tester.take('4', 'Enter').open, true);
    assert.deepEqual(calls, []);
  });

  test('Delete is dim until then', () => {
    const tester = dialog(MANY).open();
    const dim = () => tester.marked(tester.find('[ Delete ]').y, DIM);
    assert.equal(dim(), '[ Delete ]');
    tester.type('1204');
    assert.equal(dim(), '');
    tester.take('Backspace');
    assert.equal(dim(), '[ Delete ]');
  });

  test('only digits and commas can be typed, and be deleted again', () => {
    const tester = dialog(MANY).open().type('1x2').take('Ctrl-u').type('12 0,y4');
    assert.match(tester.lines.join('\n'), /Type 1204 to delete: 120,4 /);
  });

  test('a paste goes there, whole', () => {
    const { open, calls } = dialog(MANY);
    const tester = open().take(paste(' 1,204 ')).take('Tab', 'Enter');
    assert.deepEqual([tester.open, calls], [false, ['confirmed', 'closed']]);
    const other = dialog(MANY);
    assert.equal(other.open().take(paste('1204 flows')).take('Tab', 'Enter').open, true);
    assert.deepEqual(other.calls, []);
  });
});

suite('whatever keys come', () => {
  const others = fc.oneof(
    fc.constantFrom('Enter', 'Up', 'Home', 'Backspace', 'Y', 'd', 'x', ' ', 'j', 'F9', 'Delete', 'Alt-y', 'Ctrl-y').map(key),
    fc.string().map((text) => paste(text)),
    fc.constant(wheel('wheel down')),
  );
  const moves = fc.constantFrom('Tab', 'Left', 'Right', 'Shift-Tab', 'y', 'Enter', '1', '2', '0', ',').map(key);
  const deletes = (question: Partial<DeleteQuestion>, inputs: readonly TerminalInput[]) => {
    const { open, calls } = dialog(question);
    const tester = open();
    for (const input of inputs) if (tester.open) tester.take(input);
    return calls.includes('confirmed');
  };

  test('one flow is deleted only by y, or on the button', () => {
    fc.assert(
      fc.property(fc.array(others), (inputs) => !deletes({}, inputs)),
      { seed: seedFromEnvironment(SEED) },
    );
  });

  test('many are deleted only if their number is typed', () => {
    fc.assert(
      fc.property(fc.array(moves, { maxLength: 60 }), (inputs) => !deletes(MANY, inputs)), // no 4
      { seed: seedFromEnvironment(SEED) },
    );
  });
});

suite('a dialog on a small screen', () => {
  const question = {
    ...MANY,
    lines: ['tcp 10.1.4.22:51514 → 142.250.74.46:443', 'tcp b', 'tcp c', 'filter: src 10.1.4.22'],
    warnings: ['the flow of your SSH session is kept', `TCP flows that go on come back ${'at once '.repeat(6)}`],
  };

  test('has the warnings before the flows, and scrolls', () => {
    const tester = dialog(question, { columns: 60, rows: 10 }).open();
    assert.match(tester.lines[2]!, /! {2}the flow of your SSH/);
    assert.match(tester.lines.at(-1)!, /1-6 of 8/);
    assert.doesNotMatch(tester.lines.join('\n'), /filter: src/);
    for (const input of [wheel('wheel down'), key('PageDown')]) tester.take(input);
    assert.match(tester.lines.join('\n'), /filter: src/);
    assert.match(tester.lines.at(-3)!, /Type 1204 to delete/);
    assert.match(tester.lines.at(-2)!, /\[ Cancel \]/);
  });

  test('never shows a button twice or half, whatever the size', () => {
    for (let columns = 60; columns < 150; columns += 7)
      for (let rows = 10; rows < 40; rows += 3) {
        const tester = dialog(question, { columns, rows }).open();
        const text = tester.lines.join('\n');
        assert.equal(text.match(/\[ Cancel \] {2}\[ Delete \]/g)?.length, 1);
        assert.equal(text.match(/Type 1204 to delete/g)?.length, 1);
      }
  });

  test('can be drawn on any', () => {
    for (let columns = 1; columns < 60; columns += 4)
      for (let rows = 1; rows < 10; rows++) dialog(question, { columns, rows }).open();
  });

  test('has a frame of ASCII where nothing else can be shown', () => {
    assert.match(dialog({ what: '3 flows', count: 3 }, { ascii: true }).open().lines.join(''), /^[ -~]*$/);
  });
});
