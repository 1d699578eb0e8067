import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readProjectFile } from '../../test/support/project.js';
import { SENT_KEYS } from '../../test/support/terminal-keys.js';
import { InputParser } from './input.js';
import { actionOf, helpLines, KEY_SECTIONS } from './top-keys.js';
import { textWidth } from './width.js';

const rows = KEY_SECTIONS.flatMap((section) => section.rows);
const pairs = rows.flatMap(({ actions }) =>
  Object.entries(actions).flatMap(([action, keys]) => keys.map((key) => ({ action, key }))),
);

/** What is no key in docs/top.md, although it stands in quotes. */
const SIGNS = ['→', '←', '·', '-', '0', '†', '!', 's', 'd', 'o'];

suite('keys', () => {
  const expected: Readonly<Record<string, string>> = {
    Up: 'up',
    Down: 'down',
    j: 'down',
    k: 'up',
    PageUp: 'page-up',
    PageDown: 'page-down',
    Home: 'first',
    End: 'last',
    Left: 'columns-left',
    Right: 'columns-right',
    Tab: 'focus',
    'Shift-Tab': 'focus',
    Enter: 'open',
    Escape: 'back',
    Backspace: 'back',
    '/': 'filter',
    g: 'group',
    t: 'tag',
    T: 'untag-all',
    F: 'follow',
    y: 'copy',
    b: 'unit',
    a: 'averages',
    i: 'information',
    ' ': 'pause',
    o: 'hold',
    p: 'past',
    f: 'find',
    F3: 'find',
    n: 'find-next',
    s: 'sort',
    F6: 'sort',
    '<': 'sort-left',
    '>': 'sort-right',
    r: 'reverse',
    x: 'delete',
    F9: 'delete',
    Delete: 'delete',
    c: 'commands',
    '+': 'faster',
    '-': 'slower',
    e: 'ended',
    '?': 'help',
    F1: 'help',
    'Ctrl-l': 'repaint',
    q: 'quit',
    F10: 'quit',
    'Ctrl-c': 'quit',
    ...Object.fromEntries(Array.from({ length: 9 }, (_, n) => [String(n + 1), `group-${n + 1}`])),
  };

  test('each has its action, and there are no others', () => {
    assert.deepEqual(Object.fromEntries(pairs.map(({ key, action }) => [key, action])), expected);
    for (const [key, action] of Object.entries(expected)) assert.equal(actionOf(key), action, key);
    for (const key of ['X', 'F2', 'constructor', '']) assert.equal(actionOf(key), undefined, key);
  });

  test('none has two actions', () => {
    assert.equal(new Set(pairs.map(({ key }) => key)).size, pairs.length);
  });

  test('every action is in one row and has a key', () => {
    const actions = rows.flatMap((row) => Object.entries(row.actions));
    assert.equal(new Set(actions.map(([action]) => action)).size, actions.length);
    for (const [action, keys] of actions) assert.ok(keys.length > 0, action);
  });

  for (const { key } of pairs)
    test(`a terminal can send ${JSON.stringify(key)}`, () => {
      const parser = new InputParser();
      const made = [...parser.push(Buffer.from(SENT_KEYS[key] ?? key), 0), ...parser.expire(1000)];
      assert.deepEqual(
        made.map((input) => input.type === 'key' && input.key),
        [key],
      );
    });
});

suite('help', () => {
  test('is in docs/top.md, and no other key is named there', () => {
    const text = readProjectFile('docs/top.md');
    const block = /\n## Keys\n\n```\n(.*?)\n```\n/s.exec(text)?.[1];
    assert.equal(block, helpLines(false).join('\n'));
    const named = Array.from(text.matchAll(/`([^`\s])`/g), ([, key]) => key!).filter((key) => !SIGNS.includes(key));
    assert.ok(named.length > 10);
    for (const key of named) assert.ok(actionOf(key), key);
  });

  test('has a line for every row, and two columns', () => {
    const lines = helpLines(false);
    for (const { shown, help } of rows)
      assert.ok(
        lines.some((line) => line.startsWith(`  ${shown} `) && line.endsWith(`  ${help}`)),
        shown,
      );
    const starts = lines.map((line) => /^ {2}\S+(?: \S+)* {2,}/.exec(line)?.[0]).filter((start) => start !== undefined);
    assert.equal(starts.length, lines.filter((line) => line.startsWith('  ')).length);
    assert.equal(new Set(starts.map(textWidth)).size, 1);
  });

  test('is ASCII where nothing else can be shown', () => {
    for (const line of helpLines(true)) assert.match(line, /^[ -~]*$/);
    assert.ok(helpLines(true).some((line) => line.startsWith('  Up Down j k ')));
  });
});
