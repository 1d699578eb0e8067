// Every key of `conntrack top`, pressed on a terminal while it meters a real table: what the screen shows then. No key is missing.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { KEY_SECTIONS, type TopAction } from '../../src/top/top-keys.js';
import type { Namespace } from '../support/namespace.js';
import { requirePrerequisites, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal } from '../support/pseudo-terminal.js';
import { SENT_KEYS } from '../support/terminal-keys.js';
import { filled, top } from '../support/top-scene.js';

requirePrerequisites();

const { Down, End, Enter, PageDown, Right } = SENT_KEYS;
const press = (key: string) => SENT_KEYS[key] ?? key;
/** Flows in an order that does not change: 10.1.1.1:2000, 2001, … are the first, 10.1.1.3:5000 is the last. */
const BY_PORT = ['--sort', 'sport'];
const GROUPS = ['--by', 'src', '--sort', 'key'];

/** The row with the cursor. */
const selected = (terminal: PseudoTerminal) => terminal.screen().find((row) => row.startsWith('▌')) ?? '';
const shows = (text: string | RegExp) => (terminal: PseudoTerminal) =>
  terminal.screen().some((row) => (typeof text === 'string' ? row.includes(text) : text.test(row)));
const hidesTitle = (text: string) => (terminal: PseudoTerminal) =>
  terminal.screen().some((row) => row.includes('SOURCE') && !row.includes(text));
const isOn = (text: string) => (terminal: PseudoTerminal) => selected(terminal).includes(text);

interface Case {
  readonly words?: readonly string[];
  /** Columns and rows. */
  readonly size?: readonly [number, number];
  /** Keys before, and what shall be seen then. */
  readonly first?: readonly (readonly [keys: string, seen: (terminal: PseudoTerminal) => boolean])[];
  readonly seen: (terminal: PseudoTerminal) => boolean;
}

const grouped = (by: string): Case => ({ seen: shows(`─ by ${by} ─`) });

const CASES: Readonly<Record<Exclude<TopAction, 'quit' | 'repaint'>, Case>> = {
  up: { words: BY_PORT, first: [[`${Down}${Down}`, isOn(':2002')]], seen: isOn(':2001') },
  down: { words: BY_PORT, seen: isOn(':2001') },
  'page-up': { words: BY_PORT, first: [[PageDown!, isOn(':4005')]], seen: isOn(':2000') },
  'page-down': { words: BY_PORT, seen: isOn(':4005') },
  first: { words: BY_PORT, first: [[End!, isOn(':5000')]], seen: isOn(':2000') },
  last: { words: BY_PORT, seen: isOn(':5000') },
  'columns-left': { first: [[Right!, hidesTitle('→bit/s')]], seen: shows(/SOURCE.*→bit\/s/) },
  'columns-right': { seen: hidesTitle('→bit/s') },
  focus: { words: GROUPS, size: [100, 40], first: [['', shows('⏎ its flows')]], seen: shows('⏎ details') },
  open: { words: GROUPS, first: [['', isOn('10.1.1.1')]], seen: shows('filter: src 10.1.1.1') },
  back: { words: GROUPS, first: [[Enter!, shows('filter: src 10.1.1.1')]], seen: shows('─ by src ─') },
  filter: { seen: shows('such as: tcp') },
  find: { seen: shows('a part of an address') },
  'find-next': { words: BY_PORT, first: [[`f.9:40${Enter}`, isOn(':4000')]], seen: isOn(':4001') },
  group: { seen: shows('─ Group by ─') },
  'group-1': { words: GROUPS, seen: shows('─ flows ─') },
  'group-2': grouped('src'),
  'group-3': grouped('dst'),
  'group-4': grouped('pair'),
  'group-5': grouped('service'),
  'group-6': grouped('state'),
  'group-7': grouped('src/24'),
  'group-8': grouped('snat'),
  'group-9': grouped('netns'),
  sort: { seen: shows('─ Sort by ─') },
  'sort-left': { words: ['--sort', 'dst'], seen: shows('SOURCE▼') },
  'sort-right': { words: ['--sort', 'src'], seen: shows('DESTINATION▼') },
  reverse: { words: ['--sort', 'src'], first: [['', shows('SOURCE▼')]], seen: shows('SOURCE▲') },
  tag: { words: BY_PORT, seen: shows(/^\+.*:2000 /) },
  'untag-all': { words: BY_PORT, first: [['t', shows(/^\+.*:2000 /)]], seen: (terminal) => !shows(/^\+/)(terminal) },
  follow: { seen: shows('the selected row stays in the middle') },
  delete: { words: BY_PORT, seen: shows('Delete tcp 10.1.1.1:2000') },
  copy: { words: BY_PORT, seen: shows(/s {2}source {2}10\.1\.1\.1/) },
  past: { words: BY_PORT, seen: shows('The past of tcp 10.1.1.1:2000') },
  commands: { seen: shows('conntrack top --once') },
  unit: { first: [['', shows('→bit/s')]], seen: shows('→B/s') },
  averages: { seen: shows('rates are those of the last interval') },
  faster: { seen: shows('every 1 s') },
  slower: { seen: shows('every 5 s') },
  ended: { seen: shows('flows that have ended go at once') },
  information: { seen: shows('since top was started') },
  pause: { seen: shows('PAUSED') },
  hold: { seen: shows('order held') },
  help: { seen: shows('one row; the cursor stays') },
};

const rows = KEY_SECTIONS.flatMap((section) => section.rows);
const keysOf = (action: TopAction) => rows.flatMap(({ actions }) => actions[action] ?? []);

suite('keys of conntrack top', { concurrency: 2 }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await filled('keys');
  });
  after(() => namespace.close());

  for (const [action, { words = [], size = [100, 30], first = [], seen }] of Object.entries(CASES))
    for (const key of keysOf(action as TopAction))
      test(`${key}: ${action}`, async () => {
        await using terminal = await top(namespace, words, { columns: size[0], rows: size[1] });
        await terminal.waitFor(
          () => shows(/ (148 of 148|4 groups) ─/)(terminal) && !shows('listing…')(terminal),
          'the whole table',
        );
        for (const [keys, before] of first) {
          terminal.send(keys);
          await terminal.waitFor(before, `what comes before: ${keys}`);
        }
        assert.equal(seen(terminal), false, 'it is seen before the key is pressed');
        terminal.send(press(key));
        await terminal.waitFor(seen, `what ${key} shows`);
      });

  for (const key of keysOf('quit'))
    test(`${key}: quit`, async () => {
      await using terminal = await top(namespace);
      terminal.send(press(key));
      assert.equal((await terminal.exited).status, 0);
    });

  for (const key of keysOf('repaint'))
    test(`${key}: repaint`, async () => {
      await using terminal = await top(namespace);
      const cleared = () => terminal.raw.toString('latin1').split('\x1b[2J').length - 1;
      const before = cleared();
      terminal.send(press(key));
      await terminal.waitFor(() => cleared() > before, 'the whole picture anew');
    });

  test('Ctrl-Z: suspend, and come back', async () => {
    const shell = ['sh', '-c', 'set -m; "$1" top; echo stopped; sleep 1; fg', 'sh', UNDER_TEST];
    await using terminal = PseudoTerminal.start(shell, { columns: 100, rows: 30, namespace });
    await terminal.waitForText(' of ');
    terminal.send('\x1a');
    await terminal.waitFor(() => !terminal.alternate && shows('stopped')(terminal), 'the shell');
    await terminal.waitFor(() => terminal.alternate && shows('148 of 148')(terminal), 'the picture again');
    terminal.send('q');
    assert.equal((await terminal.exited).status, 0);
  });

  test('a group that no filter selects says so when it is opened', async () => {
    await using terminal = await top(namespace, ['--by', 'netns']);
    await terminal.waitFor(isOn('own'));
    terminal.send(Enter!);
    await terminal.waitFor(shows("no filter selects 'own' by netns: these are all flows"));
    assert.ok(!shows('filter: own')(terminal));
  });

  test('the mouse: a click selects, on a title sorts; the wheel scrolls', async () => {
    await using terminal = await top(namespace, BY_PORT);
    await terminal.waitFor(shows('148 of 148'));
    const at = (text: string) => {
      const y = terminal.screen().findIndex((row) => row.includes(text));
      return `${terminal.screen()[y]!.indexOf(text) + 1};${y + 1}`;
    };
    terminal.send(`\x1b[<0;${at(':2004')}M`);
    await terminal.waitFor(isOn(':2004'));
    terminal.send('\x1b[<65;5;9M');
    await terminal.waitFor(isOn(':2007'));
    terminal.send('\x1b[<64;5;9M');
    await terminal.waitFor(isOn(':2004'));
    terminal.send(`\x1b[<0;${at('DESTINATION')}M`);
    await terminal.waitFor(shows('DESTINATION▼'));
  });

  test('there are no others', () => {
    const pressed = [...Object.keys(CASES), 'quit', 'repaint'];
    const all = rows.flatMap(({ actions }) => Object.keys(actions));
    assert.deepEqual(pressed.sort(), all.sort());
    const without = rows.filter(({ actions }) => Object.keys(actions).length === 0).map(({ shown }) => shown);
    assert.deepEqual(without, ['mouse']);
  });
});
