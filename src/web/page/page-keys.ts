// The keys of the page, which are those of `conntrack top`: a row for each line of the help.

import { copyText } from './clipboard-text.js';
import { filterInput } from './filter-box.js';
import { COPIED, currentFlow, cursor, moveBy, moveTo, selection, selectNone, toggle } from './flow-cursor.js';
import { grid, sortBy } from './flow-grid.js';
import { filterFor } from './flow-parts.js';
import { flows } from './flow-window.js';
import { GROUPINGS } from './groups-panel.js';
import { PAGE_SORTS } from './page-columns.js';
import { pause } from './page-header.js';
import { overlay, status, tell } from './page-state.js';
import { look, view } from './page-view.js';

interface KeyLine {
  readonly shown: string;
  readonly help: string;
  /** What each key does; the name of a key as browsers have it. */
  readonly does: Readonly<Record<string, () => void>>;
}

export const PAGE_KEYS: readonly KeyLine[] = [
  {
    shown: '↑ ↓ j k',
    help: 'one row; the cursor stays with its flow',
    does: { ArrowUp: () => moveBy(-1), ArrowDown: () => moveBy(1), k: () => moveBy(-1), j: () => moveBy(1) },
  },
  { shown: 'PgUp PgDn', help: 'one page', does: { PageUp: () => moveBy(-grid.page), PageDown: () => moveBy(grid.page) } },
  {
    shown: 'Home End',
    help: 'the first row, the last row',
    does: { Home: () => moveTo(0), End: () => moveTo(Number.MAX_SAFE_INTEGER) },
  },
  { shown: 'Enter', help: 'the details of the flow', does: { Enter: () => look({ flow: currentFlow()?.key ?? '' }) } },
  {
    shown: 'Esc Backspace',
    help: 'one step back: details, selection, a minute of the past, filter',
    does: { Escape: back, Backspace: back },
  },
  { shown: '/', help: 'filter; Tab completes', does: { '/': () => filterInput.focus() } },
  { shown: 'g', help: `group by …, then ${lettersOf(GROUPING_KEYS())}`, does: { g: () => wait('Group by', GROUPING_KEYS()) } },
  {
    shown: '2 … 9',
    help: 'by source, destination, pair, service, state, source /24, SNAT, namespace',
    does: Object.fromEntries(
      ['src', 'dst', 'pair', 'service', 'state', 'src/24,64', 'snat', 'netns'].map((by, n) => [`${n + 2}`, () => look({ by })]),
    ),
  },
  { shown: '0', help: 'the top list of now again, after a click in the chart', does: { '0': () => look({ at: '' }) } },
  { shown: 's', help: `sort by …, then ${lettersOf(SORT_KEYS())}`, does: { s: () => wait('Sort by', SORT_KEYS()) } },
  {
    shown: '< > r',
    help: 'sort by the next column; reverse',
    does: { '<': () => sortNext(-1), '>': () => sortNext(1), r: reverse },
  },
  { shown: 'o', help: 'hold the order: values go on', does: { o: holdOrder } },
  { shown: 'e', help: 'ended rows on or off', does: { e: toggleEnded } },
  {
    shown: 'b a',
    help: 'bits or bytes; rates of the last interval or averages',
    does: { b: () => look({ unit: view.value.unit === 'bits' ? 'bytes' : 'bits' }), a: toggleAverages },
  },
  { shown: 'Space', help: 'pause: the picture stands, measuring goes on', does: { ' ': pause } },
  { shown: 't T', help: 'select or leave a row; leave all', does: { t: () => toggle(currentFlow()), T: selectNone } },
  { shown: 'x Del', help: 'delete the flow, or those that are selected; asks first', does: { x: remove, Delete: remove } },
  {
    shown: 'y',
    help: 'copy: then s source, d destination, i id, l line, f filter',
    does: { y: () => wait('Copy', COPY_KEYS) },
  },
  { shown: 'c', help: 'what is shown as command lines', does: { c: showCommands } },
  {
    shown: 'i',
    help: 'information: what is wrong, what mends it; counters, cost',
    does: {
      i: () => {
        overlay.value = { what: 'doctor' };
      },
    },
  },
  {
    shown: '?',
    help: 'this help',
    does: {
      '?': () => {
        overlay.value = { what: 'help' };
      },
    },
  },
];

const COPY_KEYS: Readonly<Record<string, readonly [text: string, run: () => void]>> = {
  s: ['source', () => withFlow((flow) => void copyText(COPIED['s']!(flow)))],
  d: ['destination', () => withFlow((flow) => void copyText(COPIED['d']!(flow)))],
  i: ['id', () => withFlow((flow) => void copyText(COPIED['i']!(flow)))],
  l: ['line', () => withFlow((flow) => void copyText(COPIED['l']!(flow)))],
  f: ['filter', () => void copyText(view.value.filter)],
};

/** By the letters of top. */
function GROUPING_KEYS(): Readonly<Record<string, readonly [text: string, run: () => void]>> {
  const letters = { s: 'src', d: 'dst', c: 'pair', p: 'service', r: 'protocol', t: 'state', f: 'family', z: 'zone', m: 'mark', l: 'label', h: 'helper', o: 'snat', i: 'dnat', n: 'netns' }; // biome-ignore format: a list
  return Object.fromEntries(
    Object.entries(letters).map(([letter, by]) => [
      letter,
      [GROUPINGS.find(([name]) => name === by)![1], () => look({ by })] as const,
    ]),
  );
}

/** By the letters of top. */
function SORT_KEYS(): Readonly<Record<string, readonly [text: string, run: () => void]>> {
  const letters = { p: 'protocol', s: 'src', d: 'dst', t: 'state', e: 'averageOriginal', r: 'averageReply', k: 'packetRate', b: 'bytes', a: 'age', i: 'idle', m: 'mark', z: 'zone', x: 'timeout' }; // biome-ignore format: a list
  return Object.fromEntries(
    Object.entries(letters).map(([letter, sort]) => [
      letter,
      [PAGE_SORTS.find((one) => one.sort === sort)!.title.toLowerCase(), () => look({ sort, reverse: '' })] as const,
    ]),
  );
}

function lettersOf(keys: Readonly<Record<string, readonly [text: string, run: () => void]>>): string {
  return Object.entries(keys)
    .map(([letter, [text]]) => `${letter} ${text}`)
    .join(', ');
}

function withFlow(run: (flow: NonNullable<ReturnType<typeof currentFlow>>) => void): void {
  const flow = currentFlow();
  if (flow) run(flow);
  else tell('Choose a flow first: ↓', true);
}

function back(): void {
  if (view.value.flow !== '') look({ flow: '' });
  else if (selection.value.size > 0) selectNone();
  else if (view.value.at !== '') look({ at: '' });
  else if (view.value.filter !== '') look({ filter: '' });
}

function sortNext(step: number): void {
  const at = PAGE_SORTS.findIndex(({ sort }) => sort === view.value.sort);
  sortBy(PAGE_SORTS[(at + step + PAGE_SORTS.length) % PAGE_SORTS.length]!.sort);
}

function holdOrder(): void {
  flows.hold(!flows.isHeld.value);
  tell(flows.isHeld.value ? 'The order stands: o lets it go on' : '');
}

function toggleEnded(): void {
  look({ ended: view.value.ended === '' ? 'off' : '' });
  tell(view.value.ended === '' ? 'Flows that have ended stay for two samples' : 'Flows that have ended go at once');
}

function toggleAverages(): void {
  look({ rates: view.value.rates === 'average' ? 'rate' : 'average' });
  tell(view.value.rates === 'average' ? 'Rates are averages of about 10 seconds' : 'Rates are those of the last interval');
}

function reverse(): void {
  look({ reverse: view.value.reverse === '' ? '1' : '' });
}

function remove(): void {
  if (!status.value?.changes) tell('This page may only read', true);
  else if (selection.value.size > 0) overlay.value = { what: 'delete', target: { flows: [...selection.value.keys()] } };
  else withFlow(({ key }) => (overlay.value = { what: 'delete', target: { flows: [key] } }));
}

export function showCommands(): void {
  const chosen = [...selection.value.values()].map((flow) => `(${filterFor(flow)})`);
  overlay.value = { what: 'commands', filter: chosen.length > 0 ? chosen.join(' or ') : view.value.filter };
}

/** What a second key means. */
let second: Readonly<Record<string, readonly [text: string, run: () => void]>> | undefined;

function wait(what: string, keys: NonNullable<typeof second>): void {
  second = keys;
  tell(`${what}: ${lettersOf(keys)}`);
}

const FIRST: ReadonlyMap<string, () => void> = new Map(PAGE_KEYS.flatMap(({ does }) => Object.entries(does)));
/** Keys that elements have a use for. */
const OF_ELEMENTS: readonly string[] = [
  'Enter',
  ' ',
  'ArrowUp',
  'ArrowDown',
  'Home',
  'End',
  'PageUp',
  'PageDown',
  'Backspace',
  'Delete',
];

export function followKeys(): void {
  document.addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || overlay.value) return;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement)
      return;
    const inElement = target instanceof Element && target.closest('button, a, summary, [role=region]') !== null;
    if (inElement && OF_ELEMENTS.includes(key)) return;
    const run = second ? (second[key]?.[1] ?? (() => tell(''))) : FIRST.get(key);
    second = undefined;
    if (!run) return;
    event.preventDefault();
    run();
    if (cursor.value.index >= 0 && document.activeElement === document.body) grid.focus();
  });
}
