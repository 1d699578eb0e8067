import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SLOWNESS } from '../../test/support/project.js';
import { seedFromEnvironment } from '../../test/support/random.js';
import { TEXT_LIMIT, TextBox } from './text-box.js';
import { textWidth } from './width.js';

const key = (name: string) => ({ type: 'key', key: name, text: '' }) as const;
const typed = (text: string) => ({ type: 'key', key: text, text }) as const;

/** The text with the cursor in it. */
function shown(box: TextBox): string {
  return `${box.text.slice(0, box.cursor)}|${box.text.slice(box.cursor)}`;
}

suite('editing', () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ['tcp and dport 443', ['Ctrl-w'], 'tcp and dport |'],
    ['tcp and dport   ', ['Ctrl-w'], 'tcp and |'],
    ['tcp', ['Ctrl-u'], '|'],
    ['tcp', ['Left', 'Ctrl-u'], '|p'],
    ['tcp', ['Left', 'Backspace'], 't|p'],
    ['tcp', ['Ctrl-a', 'Delete', 'Right'], 'c|p'],
    ['tcp', ['Home', 'Left', 'Backspace', 'Ctrl-e', 'Right', 'Delete'], 'tcp|'],
    ['tcp', ['Ctrl-a', 'Right', 'Ctrl-k'], 't|'],
    ['a🇩🇪e\u0301', ['Left'], 'a🇩🇪|e\u0301'],
    ['a🇩🇪e\u0301', ['Left', 'Left', 'Backspace'], '|🇩🇪e\u0301'],
    ['ae\u0301', ['Backspace'], 'a|'],
  ];
  for (const [text, keys, expected] of cases)
    test(`${text}: ${keys.join(' ')}`, () => {
      const box = new TextBox(text);
      for (const name of keys) assert.ok(box.take(key(name)));
      assert.equal(shown(box), expected);
    });

  test('keys that are not for it are left to the caller', () => {
    const box = new TextBox('tcp');
    for (const name of ['Enter', 'Escape', 'Tab', 'F1', 'Ctrl-c', 'Alt-x', 'constructor'])
      assert.equal(box.take(key(name)), false);
    assert.equal(shown(box), 'tcp|');
  });

  test('what is typed and pasted goes to the cursor, without control characters', () => {
    const box = new TextBox('ac');
    box.take(key('Left'));
    box.take(typed('b'));
    box.take({ type: 'paste', text: '12\x1b\n34', cut: false });
    assert.equal(shown(box), 'ab1234|c');
  });

  test('a long text that comes key by key costs no more than its length', () => {
    const box = new TextBox();
    const began = performance.now();
    for (let n = 0; n < TEXT_LIMIT; n++) box.take({ type: 'key', key: 'a', text: 'a' });
    // A fortieth of what it is if all of the text is looked at for each key.
    assert.ok(performance.now() - began < 1000 * SLOWNESS);
    assert.equal(box.text.length, TEXT_LIMIT);
  });

  test('there is an end to its length', () => {
    const box = new TextBox('x');
    box.insert('字'.repeat(2 * TEXT_LIMIT));
    assert.equal(box.text.length, TEXT_LIMIT);
    box.insert('y');
    assert.equal(box.text.length, TEXT_LIMIT);
    assert.equal(box.view(20).cursor, 18);
  });
});

suite('history', () => {
  test('up and down show older and newer lines, and at last the own one', () => {
    const box = new TextBox('own', ['first', 'second']);
    const seen = ['Up', 'Up', 'Up', 'Down', 'Down', 'Down'].map((name) => {
      box.take(key(name));
      return shown(box);
    });
    assert.deepEqual(seen, ['second|', 'first|', 'first|', 'second|', 'own|', 'own|']);
  });

  test('a line is remembered once, as the newest', () => {
    assert.deepEqual(new TextBox('a', ['a', 'b']).remembered(), ['b', 'a']);
    assert.deepEqual(new TextBox('', ['a']).remembered(), ['a']);
    const many = Array.from({ length: 300 }, (_, n) => `${n}`);
    assert.deepEqual([new TextBox('x', many).remembered().length, new TextBox('x', many).remembered().at(-1)], [100, 'x']);
  });
});

suite('view', () => {
  test('a text that fits is shown whole', () => {
    assert.deepEqual(new TextBox('tcp').view(4), { text: 'tcp', cursor: 3 });
  });

  test('a longer one follows the cursor and moves no more than needed', () => {
    const box = new TextBox('abcdefgh');
    assert.deepEqual(box.view(4), { text: 'fgh', cursor: 3 });
    box.take(key('Left'));
    box.take(key('Left'));
    assert.deepEqual(box.view(4), { text: 'fgh', cursor: 1 });
    for (const _ of 'abc') box.take(key('Left'));
    assert.deepEqual(box.view(4), { text: 'defg', cursor: 0 });
    box.take(key('End'));
    assert.deepEqual(box.view(20), { text: 'abcdefgh', cursor: 8 });
  });

  test('wide characters take two columns', () => {
    const box = new TextBox('字字字');
    assert.deepEqual(box.view(5), { text: '字字', cursor: 4 });
    assert.deepEqual(box.view(0), { text: '', cursor: 0 });
  });
});

test('it does what a naive box does', () => {
  const split = (text: string) =>
    Array.from(new Intl.Segmenter('und', { granularity: 'grapheme' }).segment(text), (each) => each.segment);
  // Units that stay graphemes in any order, so that a list of them is a model.
  const unit = fc.constantFrom('a', 'b', ' ', 'é', 'e\u0301', '字', '😀', '-');
  const step = fc.oneof(
    { weight: 3, arbitrary: unit },
    fc.array(unit, { maxLength: 5 }).map((units) => ({ paste: units })),
    fc
      .constantFrom('Backspace', 'Delete', 'Left', 'Right', 'Home', 'End', 'Ctrl-w', 'Ctrl-u', 'Ctrl-k')
      .map((name) => ({ name })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 3, max: 12 }), (steps, width) => {
      const box = new TextBox();
      let before: string[] = [];
      let after: string[] = [];
      for (const each of steps) {
        if (typeof each === 'string') {
          box.take(typed(each));
          before.push(each);
        } else if ('paste' in each) {
          box.take({ type: 'paste', text: each.paste.join(''), cut: false });
          before.push(...each.paste);
        } else {
          box.take(key(each.name));
          if (each.name === 'Backspace') before.pop();
          else if (each.name === 'Delete') after.shift();
          else if (each.name === 'Left' && before.length > 0) after.unshift(before.pop()!);
          else if (each.name === 'Right' && after.length > 0) before.push(after.shift()!);
          else if (each.name === 'Home') [before, after] = [[], [...before, ...after]];
          else if (each.name === 'End') [before, after] = [[...before, ...after], []];
          else if (each.name === 'Ctrl-u') before = [];
          else if (each.name === 'Ctrl-k') after = [];
          else if (each.name === 'Ctrl-w') {
            while (before.at(-1) === ' ') before.pop();
            while (before.length > 0 && before.at(-1) !== ' ') before.pop();
          }
        }
        assert.equal(shown(box), `${before.join('')}|${after.join('')}`);
        const view = box.view(width);
        assert.ok(textWidth(view.text) <= width && view.cursor < width, JSON.stringify(view));
        assert.ok(box.text.includes(view.text));
        const left = split(view.text).reduce((all, one) => (textWidth(all) < view.cursor ? all + one : all), '');
        assert.ok(before.join('').endsWith(left), JSON.stringify([view, shown(box)]));
      }
    }),
    { numRuns: 2000, seed: seedFromEnvironment(20264) },
  );
});
