// The keys of `conntrack top`: one row per line of the help. What a key does, the help and the documentation come from the same rows.

import { textWidth } from './width.js';

/** What a key does. */
export type TopAction =
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'first'
  | 'last'
  | 'columns-left'
  | 'columns-right'
  | 'focus'
  | 'open'
  | 'back'
  | 'filter'
  | 'find'
  | 'find-next'
  | 'group'
  | `group-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | 'sort'
  | 'sort-left'
  | 'sort-right'
  | 'reverse'
  | 'tag'
  | 'untag-all'
  | 'follow'
  | 'delete'
  | 'copy'
  | 'past'
  | 'commands'
  | 'unit'
  | 'averages'
  | 'faster'
  | 'slower'
  | 'ended'
  | 'information'
  | 'pause'
  | 'hold'
  | 'help'
  | 'repaint'
  | 'quit';

/** A line of the help. */
export interface KeyRow {
  /** The keys as somebody reads them; `ascii` where that needs other characters. */
  readonly shown: string;
  readonly ascii?: string;
  readonly help: string;
  /** Actions and their keys, by the names of keys.ts. None: only the mouse does it. */
  readonly actions: { readonly [action in TopAction]?: readonly string[] };
}

export const KEY_SECTIONS: readonly { readonly title: string; readonly rows: readonly KeyRow[] }[] = [
  {
    title: 'Move',
    rows: [
      {
        shown: '↑ ↓ j k',
        ascii: 'Up Down j k',
        help: 'one row; the cursor stays with its flow, but on the first row until moved',
        actions: { up: ['Up', 'k'], down: ['Down', 'j'] },
      },
      { shown: 'PgUp PgDn', help: 'one page', actions: { 'page-up': ['PageUp'], 'page-down': ['PageDown'] } },
      { shown: 'Home End', help: 'the first row, the last row', actions: { first: ['Home'], last: ['End'] } },
      {
        shown: '← →',
        ascii: 'Left Right',
        help: 'columns that do not fit',
        actions: { 'columns-left': ['Left'], 'columns-right': ['Right'] },
      },
      { shown: 'Tab', help: 'the other list', actions: { focus: ['Tab', 'Shift-Tab'] } },
      {
        shown: 'Enter',
        help: 'of a group: its flows; of a flow: details; again: in words',
        actions: { open: ['Enter'] },
      },
      { shown: 'Esc Backspace', help: 'one step back', actions: { back: ['Escape', 'Backspace'] } },
      { shown: 'mouse', help: 'a click selects, on a title sorts; the wheel scrolls; Shift selects text', actions: {} },
    ],
  },
  {
    title: 'Choose what is shown',
    rows: [
      { shown: '/', help: 'filter; Tab completes; empty: all flows', actions: { filter: ['/'] } },
      {
        shown: 'f F3, n',
        help: 'find text among the rows; find the next',
        actions: { find: ['f', 'F3'], 'find-next': ['n'] },
      },
      { shown: 'g', help: 'group by …; then its letter', actions: { group: ['g'] } },
      {
        shown: '1 … 9',
        ascii: '1 ... 9',
        help: 'flows; by source, destination, pair, service, state, source /24, SNAT, namespace',
        actions: {
          'group-1': ['1'],
          'group-2': ['2'],
          'group-3': ['3'],
          'group-4': ['4'],
          'group-5': ['5'],
          'group-6': ['6'],
          'group-7': ['7'],
          'group-8': ['8'],
          'group-9': ['9'],
        },
      },
      { shown: 's F6', help: 'sort by …; then the letter of a column', actions: { sort: ['s', 'F6'] } },
      {
        shown: '< >, r',
        help: 'sort by the next column; reverse',
        actions: { 'sort-left': ['<'], 'sort-right': ['>'], reverse: ['r'] },
      },
      { shown: 'o', help: 'hold the order: values go on, new rows come at the end', actions: { hold: ['o'] } },
      { shown: 'e', help: 'ended rows on or off', actions: { ended: ['e'] } },
      {
        shown: 'b, a',
        help: 'bits or bytes; rates of the last interval or averages',
        actions: { unit: ['b'], averages: ['a'] },
      },
      { shown: 'Space', help: 'pause: the picture stands, measuring goes on', actions: { pause: [' '] } },
      { shown: '+ -', help: 'measure faster, slower', actions: { faster: ['+'], slower: ['-'] } },
    ],
  },
  {
    title: 'Do something',
    rows: [
      { shown: 't, T', help: 'tag or untag a row; untag all', actions: { tag: ['t'], 'untag-all': ['T'] } },
      { shown: 'F', help: 'follow a row: it stays in the middle', actions: { follow: ['F'] } },
      {
        shown: 'x F9 Del',
        help: 'delete the selected flow, the tagged flows, or those of a group; asks first',
        actions: { delete: ['x', 'F9', 'Delete'] },
      },
      { shown: 'y', help: 'copy: then s source, d destination, i id, l line, f filter', actions: { copy: ['y'] } },
      { shown: 'p', help: 'the past of a flow, from a record', actions: { past: ['p'] } },
      { shown: 'c', help: 'what is shown as command lines', actions: { commands: ['c'] } },
      {
        shown: 'i',
        help: 'information: what is wrong, what mends it; counters, cost',
        actions: { information: ['i'] },
      },
      { shown: '? F1', help: 'this help', actions: { help: ['?', 'F1'] } },
      {
        shown: 'Ctrl-L, Ctrl-Z',
        help: 'paint anew; suspend',
        actions: { repaint: ['Ctrl-l'] }, // terminal.ts takes Ctrl-Z
      },
      { shown: 'q F10 Ctrl-C', help: 'quit', actions: { quit: ['q', 'F10', 'Ctrl-c'] } },
    ],
  },
];

const ACTIONS: ReadonlyMap<string, TopAction> = new Map(
  KEY_SECTIONS.flatMap(({ rows }) => rows).flatMap(({ actions }) =>
    Object.entries(actions).flatMap(([action, keys]) => keys.map((key) => [key, action as TopAction] as const)),
  ),
);

/** What a key does, by its name in keys.ts. */
export function actionOf(key: string): TopAction | undefined {
  return ACTIONS.get(key);
}

/** The signs at the left of a row, and behind a state. */
const SIGNS = [
  { shown: '▌', ascii: '>', help: 'selected' },
  { shown: '+', help: 'tagged' },
  { shown: '!', help: 'no reply yet' },
  { shown: '†', ascii: 'x', help: 'ended' },
  { shown: 's d o', help: 'source or destination translated; offloaded' },
  { shown: '· -', ascii: '. -', help: 'not known yet; never known' },
] as const;

/** The help: a title, its rows, a blank line, and so on. */
export function helpLines(ascii: boolean): string[] {
  const sections = [...KEY_SECTIONS, { title: 'Signs', rows: SIGNS }];
  const shownOf = (row: Pick<KeyRow, 'shown' | 'ascii'>) => (ascii ? (row.ascii ?? row.shown) : row.shown);
  const widths = sections.flatMap(({ rows }) => rows.map((row) => textWidth(shownOf(row))));
  const width = Math.max(...widths);
  return sections.flatMap(({ title, rows }, n) => [
    ...(n === 0 ? [] : ['']),
    title,
    ...rows.map((row) => {
      const shown = shownOf(row);
      const help = ascii ? row.help.replaceAll('…', '...') : row.help;
      return `  ${shown}${' '.repeat(width - textWidth(shown))}  ${help}`;
    }),
  ]);
}
