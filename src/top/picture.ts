// The picture of `conntrack top`: lists of groups and flows, details of one flow, the lines at the bottom. It draws what the state says, and
// changes nothing but the height of the lists.

import type { LabelMap } from '../library/index.js';
import type { FlowGroup, MeteredFlow, MeterStatus, Notice } from '../meter/index.js';
import { age, count } from '../units.js';
import { endpoint, FLOW_COLUMNS, overItsLife, protocolOf, translation } from './flow-cells.js';
import { drawFlowDetails } from './flow-details.js';
import { groupColumns } from './group-cells.js';
import { drawHeader, type HeaderFacts, separated } from './header.js';
import type { Screen } from './screen.js';
import { BOLD, COLORS, DIM, REVERSE, type Style, UNDERLINE } from './style.js';
import { type CellContext, inCell, type PlacedColumn, placeColumns, type TableColumn } from './table-layout.js';
import { LEAST_COLUMNS, LEAST_ROWS, layOut, type Part, type TopLayout } from './top-layout.js';
import type { Ended, Order, TopMessage, TopState } from './top-state.js';
import { textWidth } from './width.js';

/** What the picture is made of, besides the state. */
export interface PictureFacts extends HeaderFacts {
  readonly status: MeterStatus;
  readonly scope: string | undefined;
  /** Names of labels. */
  readonly labels: LabelMap | undefined;
  readonly readOnly: boolean;
  readonly ascii: boolean;
  readonly several: boolean;
}

/** Cells before the first column: the mark of a row. */
const MARGIN = 1;

export function contextOf(
  screen: Screen,
  state: TopState,
  { ascii, several }: Pick<PictureFacts, 'ascii' | 'several'>,
): CellContext {
  return { unit: state.unit, averages: state.averages, ascii, several, width: screen.columns };
}

/** What is worth a line of its own. */
export function noticeFor({ notices }: MeterStatus): Notice | undefined {
  return notices.find(({ code }) => WORTH_A_LINE.has(code));
}

const WORTH_A_LINE: ReadonlySet<string> = new Set(['TABLE_FULL', 'NOTHING_TRACKED', 'ACCOUNTING_OFF', 'EVENTS_OFF']);

/** Where everything is. */
export function layoutOf(screen: Screen, state: TopState, status: MeterStatus): TopLayout {
  const grouped = state.by !== undefined;
  const notice = noticeFor(status) !== undefined;
  return layOut(screen, { grouped, drilled: state.drilled !== undefined, details: state.details, notice });
}

export function drawPicture(screen: Screen, state: TopState, facts: PictureFacts): void {
  screen.clear();
  screen.hideCursor();
  if (screen.columns < LEAST_COLUMNS || screen.rows < LEAST_ROWS) {
    screen.put(0, 0, `conntrack top needs ${LEAST_COLUMNS}x${LEAST_ROWS} cells`);
    return;
  }
  const context = contextOf(screen, state, facts);
  const layout = layoutOf(screen, state, facts.status);
  drawHeader(screen, layout.header, facts, context);
  const notice = noticeFor(facts.status);
  if (layout.notice !== undefined && notice) drawNotice(screen, layout.notice, notice, facts.ascii);
  if (layout.groups) drawGroups(screen, layout.groups, state, context);
  if (layout.flows) drawFlows(screen, layout.flows, state, facts, context);
  if (layout.details) drawDetails(screen, layout.details, state, facts, context);
  if (layout.summary !== undefined) drawSummary(screen, layout.summary, state, facts, context);
  drawKeys(screen, layout.keys, state, facts, layout.summary === undefined);
}

function drawNotice(screen: Screen, y: number, { text, netns }: Notice, ascii: boolean): void {
  const where = netns === undefined ? '' : `${netns}: `;
  screen.put(1, y, separated(`${where}${text} · i says more`, ascii), COLORS.yellow);
}

/** A line across, with what is below it. */
export function drawSeparator(screen: Screen, y: number, left: string, right: string, focused: boolean, ascii: boolean): void {
  const line = ascii ? '-' : '─';
  screen.fill(0, y, screen.columns, line, DIM);
  const style: Style = focused ? BOLD : 0;
  const room = screen.columns - (right === '' ? 2 : textWidth(right) + 5);
  screen.put(1, y, separated(` ${left} `, ascii), style, room);
  if (right !== '') screen.put(screen.columns - textWidth(right) - 3, y, ` ${right} `, style);
}

function drawGroups(screen: Screen, { y, rows }: Part, state: TopState, context: CellContext): void {
  const { groups, by = '', groupOrder } = state;
  const focused = state.focus === 'groups';
  const title = by.startsWith('src') ? 'source' : by.startsWith('dst') ? 'destination' : by;
  const placed = placeColumns(groupColumns(title), MARGIN, screen.columns - 1, context, [], focused ? state.hiddenColumns : 0);
  const left = [`by ${by}`, ...hiddenOrder(placed, groupOrder), ...(state.filter === '' ? [] : [`filter: ${state.filter}`])];
  const right = groups ? `${count(groups.count)} ${groups.count === 1 ? 'group' : 'groups'}` : '';
  drawSeparator(screen, y, left.join(' · '), right, focused, context.ascii);
  drawTitles(screen, y + 1, placed, groupOrder.sort, groupOrder.reverse, context);
  state.groupList.resize(rows);
  if (!groups) {
    screen.put(MARGIN, y + TITLE_LINES, 'grouping…'.replace('…', context.ascii ? '...' : '…'), DIM);
    return;
  }
  const all = groups.matched;
  for (const [n, group] of groups.groups.slice(0, rows).entries()) {
    const selected = n === state.groupList.row;
    const mark = selected ? cursorMark(context) : manyUnreplied(group) ? '!' : ' ';
    drawRow(screen, y + TITLE_LINES + n, placed, { group, all }, mark, groupStyle(group), selected && focused, context);
  }
  if (groups.count === 0) screen.put(MARGIN, y + TITLE_LINES, groups.total === 0 ? 'no flows' : 'no flow matches', DIM);
}

/** What stands in place of flows. */
function whyNone(total: number, { sample, scope }: PictureFacts): readonly string[] {
  if (total > 0) return ['no flow matches'];
  if (sample.entries > 0 || scope !== undefined) return ['no flows'];
  return ['no flows: the table is empty', 'packets are tracked where a rule needs it, such as NAT or a match on ct state'];
}

const TITLE_LINES = 2;

function drawFlows(screen: Screen, { y, rows }: Part, state: TopState, facts: PictureFacts, context: CellContext): void {
  const { scope } = facts;
  const { flows, flowOrder } = state;
  const focused = state.focus === 'flows';
  const of = state.by === undefined ? undefined : state.groupOfFlows;
  const filter = [state.filter, of?.filter ?? ''].filter((text) => text !== '').join(' and ');
  const placed = placeColumns(FLOW_COLUMNS, MARGIN, screen.columns - 1, context, flows?.flows, focused ? state.hiddenColumns : 0);
  const left = [
    'flows',
    ...hiddenOrder(placed, flowOrder),
    ...(scope === undefined ? [] : [`scope: ${scope}`]),
    ...(filter === '' ? [] : [`filter: ${filter}`]),
    ...(state.heldOrder === undefined ? [] : ['order held']),
    ...(state.find === '' ? [] : [`find: ${state.find}`]),
  ].join(' · ');
  const right = flows ? `${count(flows.matched)} of ${count(flows.total)}` : '';
  drawSeparator(screen, y, left, right, focused, context.ascii);
  drawTitles(screen, y + 1, placed, flowOrder.sort, flowOrder.reverse, context);
  state.flowList.resize(rows);
  if (!flows) {
    screen.put(MARGIN, y + TITLE_LINES, context.ascii ? 'listing...' : 'listing…', DIM);
    return;
  }
  if (flows.matched === 0)
    for (const [n, line] of whyNone(flows.total, facts).slice(0, rows).entries())
      screen.put(MARGIN, y + TITLE_LINES + n, line, DIM);
  for (const [n, row] of flowRows(state, rows).entries()) {
    const alive = 'number' in row;
    const flow = alive ? row : row.flow;
    const selected = alive && flow.number === state.flowList.current;
    const unreplied = !(flow.flow.status as readonly string[] | undefined)?.includes('SEEN_REPLY');
    const mark = !alive
      ? context.ascii
        ? 'x'
        : '†'
      : state.tags.has(flow.number)
        ? '+'
        : selected
          ? cursorMark(context)
          : unreplied
            ? '!'
            : ' ';
    const style = alive ? flowStyle(flow, unreplied) : DIM;
    drawRow(screen, y + TITLE_LINES + n, placed, flow, mark, style, selected && focused, context);
    if (alive && flow.rate === undefined) dimRates(screen, y + TITLE_LINES + n, placed, flow, selected && focused);
  }
}

/** The rows of the list of flows. Those that have ended stand where they were, unless they would push the selected one off the screen. */
export function flowRows({ flows, flowList, showEnded, ended }: TopState, rows: number): (MeteredFlow | Ended)[] {
  const all: (MeteredFlow | Ended)[] = [...(flows?.flows ?? [])];
  const selected = all[flowList.row];
  for (const one of showEnded ? [...ended].sort((a, b) => a.row - b.row) : []) {
    const at = Math.min(one.row, all.length);
    const below = selected === undefined ? -1 : all.indexOf(selected);
    if (at > below || below + 1 < rows) all.splice(at, 0, one);
  }
  return all.slice(0, rows);
}

/** Rates that are only what a flow has had since it began. */
function dimRates(
  screen: Screen,
  y: number,
  placed: readonly PlacedColumn<MeteredFlow>[],
  flow: MeteredFlow,
  selected: boolean,
): void {
  for (const { column, x, width } of placed)
    if (column.name.startsWith('rate-') && overItsLife(flow, column.name === 'rate-reply' ? 'reply' : 'original') !== undefined)
      screen.restyle(x, y, width, selected ? DIM | REVERSE : DIM);
}

function drawTitles<R>(
  screen: Screen,
  y: number,
  placed: readonly PlacedColumn<R>[],
  sort: string,
  reverse: boolean,
  context: CellContext,
): void {
  for (const { column, x, width } of placed) {
    const sorted = column.sort !== undefined && isSortedBy(column.sort, sort);
    const arrow = sorted ? (reverse ? (context.ascii ? '^' : '▲') : context.ascii ? 'v' : '▼') : '';
    // A title that fills its column gives its last cell to the arrow.
    const title = column.title(context).slice(0, width - arrow.length);
    const text = inCell(title + arrow, width, column.right ?? false, context.ascii);
    screen.put(x, y, text, sorted ? BOLD | UNDERLINE | COLORS.cyan : UNDERLINE, x + width);
  }
}

/** The order in words, if no title shows it. */
function hiddenOrder(placed: readonly PlacedColumn<never>[], { sort, reverse }: Order<string>): string[] {
  if (placed.some(({ column }) => column.sort !== undefined && isSortedBy(column.sort, sort))) return [];
  return [`sort: ${sort}${reverse ? ' reversed' : ''}`];
}

/** `average` is of both directions: the larger part of it is mostly what comes back. */
function isSortedBy(column: string, sort: string): boolean {
  const plain = (name: string) => name.replace(/^rate(?=Original|Reply)/, 'average');
  return plain(column) === plain(sort === 'average' || sort === 'rate' ? `${sort}Reply` : sort);
}

function drawRow<R>(
  screen: Screen,
  y: number,
  placed: readonly PlacedColumn<R>[],
  row: R,
  mark: string,
  style: Style,
  selected: boolean,
  context: CellContext,
): void {
  const look = selected ? style | REVERSE : style;
  if (selected) screen.fill(0, y, screen.columns, ' ', look);
  screen.put(0, y, mark, selected ? look : mark === '!' ? COLORS.red : mark === '+' ? COLORS.cyan | BOLD : style);
  for (const { column, x, width } of placed) {
    const text = inCell(column.text(row, width, context), width, column.right ?? false, context.ascii);
    const own = style === 0 ? (column.style?.(row) ?? 0) : style;
    screen.put(x, y, text, !selected || column.chart ? own : look, x + width);
  }
}

function cursorMark({ ascii }: CellContext): string {
  return ascii ? '>' : '▌';
}

function flowStyle({ flow }: MeteredFlow, unreplied: boolean): Style {
  if (unreplied) return COLORS.red;
  return flow.state !== undefined && CLOSING.has(flow.state) ? DIM : 0;
}

/** States of flows that are over, as far as one side or both are concerned. */
const CLOSING: ReadonlySet<string> = new Set([
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'CLOSED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'CLOSEREQ',
  'CLOSING',
  'TIMEWAIT',
]);

const MANY = 0.5;
const A_FEW = 20;

/** Somebody gets no answers: a scan, or a service that is down. */
function manyUnreplied({ flows, unreplied }: FlowGroup): boolean {
  return flows >= A_FEW && unreplied > MANY * flows;
}

function groupStyle(group: FlowGroup): Style {
  return manyUnreplied(group) ? COLORS.red : 0;
}

function drawDetails(screen: Screen, { y, rows }: Part, state: TopState, facts: PictureFacts, context: CellContext): void {
  const flow = state.currentFlow;
  const title = flow ? flowLine(flow, context.ascii) : 'details';
  drawSeparator(screen, y, title, '', false, context.ascii);
  if (flow) drawFlowDetails(screen, y + 1, rows, flow, facts, context);
}

/** `tcp 10.0.0.1:2 → 10.0.0.2:80`. */
export function flowLine({ flow }: MeteredFlow, ascii: boolean): string {
  const { original } = flow;
  const whole = Number.MAX_SAFE_INTEGER;
  return `${protocolOf(flow)} ${endpoint(original.src, original.sport, whole, ascii)} ${ascii ? '->' : '→'} ${endpoint(original.dst, original.dport, whole, ascii)}`;
}

function drawSummary(screen: Screen, y: number, state: TopState, facts: PictureFacts, context: CellContext): void {
  const message = currentMessage(state);
  if (message) {
    screen.put(
      1,
      y,
      message.text,
      message.kind === 'error' ? COLORS.red | BOLD : message.kind === 'warning' ? COLORS.yellow : BOLD,
    );
    return;
  }
  if (state.focus === 'groups') {
    const group = state.currentGroup;
    if (group) screen.put(1, y, separated(group.filter ?? group.key, facts.ascii), DIM);
    return;
  }
  const flow = state.currentFlow;
  if (!flow) return;
  const { status = [], mark = 0, timeout } = flow.flow;
  const nat = translation(flow.flow);
  const parts = [
    flowLine(flow, context.ascii).replace(/^\S+ /, ''),
    ...(nat === '' ? [] : [`as ${nat.replace(/^s /, '')}`]),
    ...(status as readonly string[]).filter((bit) => bit === 'ASSURED' || bit === 'OFFLOAD' || bit === 'HW_OFFLOAD'),
    ...(mark === 0 ? [] : [`mark ${mark}`]),
  ];
  const right = timeout === undefined ? '' : `expires in ${age(timeout)}`;
  const end = screen.columns - right.length - 3;
  // What does not fit is left out, not cut.
  while (parts.length > 1 && 1 + textWidth(parts.join('  ')) > end) parts.pop();
  screen.put(1, y, parts.join('  '), 0, end);
  screen.put(screen.columns - right.length - 1, y, right, DIM);
}

export function currentMessage({ message }: TopState): TopMessage | undefined {
  return message && message.until > performance.now() ? message : undefined;
}

function drawKeys(screen: Screen, y: number, state: TopState, { readOnly, ascii }: PictureFacts, alone: boolean): void {
  const message = alone ? currentMessage(state) : undefined;
  if (message) {
    screen.put(1, y, message.text, BOLD);
    return;
  }
  const wide = screen.columns >= 120;
  const keys = [
    ['?', 'help'],
    ['/', 'filter'],
    ['g', 'group'],
    ['s', 'sort'],
    [ascii ? 'Enter' : '⏎', state.focus === 'groups' ? 'its flows' : state.details ? 'explain' : 'details'],
    ...(wide ? [[ascii ? 'BS' : '⌫', 'back']] : []),
    ...(readOnly ? [] : [['x', 'kill']]),
    ['t', 'tag'],
    ['y', 'copy'],
    ...(wide ? [['c', 'command']] : []),
    [ascii ? 'Space' : '␣', state.pausedAt === undefined ? 'pause' : 'go on'],
    ...(wide
      ? [
          ['o', 'hold order'],
          ['+ -', 'pace'],
          ['i', 'information'],
        ]
      : []),
  ] as const;
  let x = 1;
  for (const [key, what] of keys) {
    if (x + key!.length + what!.length + 1 > screen.columns - 8) break;
    x = screen.put(x, y, key!, BOLD);
    x = screen.put(x + 1, y, what!, DIM) + 2;
  }
  screen.put(screen.columns - 7, y, 'q', BOLD);
  screen.put(screen.columns - 5, y, 'quit', DIM);
}

/** The column at a cell of the titles of a list, for clicks. */
export function columnAt(
  screen: Screen,
  x: number,
  list: 'flows' | 'groups',
  state: TopState,
  facts: PictureFacts,
): TableColumn<never> | undefined {
  const context = contextOf(screen, state, facts);
  const columns = (list === 'flows' ? FLOW_COLUMNS : groupColumns('')) as readonly TableColumn<never>[];
  const rows = (list === 'flows' ? (state.flows?.flows ?? []) : []) as readonly never[];
  const placed = placeColumns(columns, MARGIN, screen.columns - 1, context, rows, state.focus === list ? state.hiddenColumns : 0);
  return placed.find((one) => x >= one.x && x < one.x + one.width)?.column;
}
