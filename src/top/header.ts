// The lines at the top: what this is and what it costs, how full the table is, how many flows come and go, how much passes.

import type { MeterSample, MeterSeries, NamespaceSample } from '../meter/index.js';
import { age, count, gauge, percent, rate, shortCount, sparkline } from '../units.js';
import { arrow } from './flow-cells.js';
import type { Screen } from './screen.js';
import { BOLD, COLORS, DIM, type Style } from './style.js';
import type { CellContext } from './table-layout.js';
import { textWidth } from './width.js';

/** What the header tells. */
export interface HeaderFacts {
  readonly sample: MeterSample;
  readonly series: MeterSeries;
  readonly host: string;
  /** Milliseconds between lists. */
  readonly interval: number;
  /** Seconds since the picture stands. */
  readonly paused: number | undefined;
  readonly now: Date;
}

/** From so many columns on there is more to tell. */
const WIDE = 120;
/** Cells of the word that says what a line is about. */
const LABEL = 5;
const NEARLY_FULL = 0.8;
const FULL = 0.95;
/** Samples are late from so many times the planned pace on, and something is wrong from so many. */
const LATE = 1.25;
const VERY_LATE = 3;
/** What the meter calls an only namespace. */
const OWN = 'own';

/** Draws so many lines of it. */
export function drawHeader(screen: Screen, lines: number, facts: HeaderFacts, context: CellContext): void {
  if (lines === 1) {
    drawTable(screen, 0, facts, context);
    return;
  }
  const rows = lines === 2 ? [drawTable, drawRate] : [drawTitle, drawTable, drawFlows, drawRate];
  for (const [y, draw] of rows.entries()) draw(screen, y, facts, context);
}

/** The part that is full in a colour. @returns the column after it */
function drawGauge(screen: Screen, x: number, y: number, bar: string, color: Style): number {
  const end = screen.put(x, y, bar, DIM);
  screen.restyle(x, y, bar.search(/[-─]|$/), color);
  return end;
}

/** A text on the left and one on the right, which has precedence. */
function bothSides(screen: Screen, y: number, left: string, right: string, style: Style = 0, rightStyle: Style = style): void {
  const x = Math.max(0, screen.columns - textWidth(right) - 1);
  screen.put(1, y, left, style, x - 1);
  screen.put(x, y, right, rightStyle);
}

function drawTitle(
  screen: Screen,
  y: number,
  { sample, host, interval, paused, now }: HeaderFacts,
  { ascii }: CellContext,
): void {
  const wide = screen.columns >= WIDE;
  const dot = ascii ? '*' : '●';
  const where = namespacesText(sample, wide);
  const late = isLate(sample, interval, now);
  const state = paused === undefined ? `${dot} ${late ? 'late' : 'live'}` : `PAUSED ${age(paused)}`;
  const sweep = Math.max(0, ...sample.namespaces.map(({ sweepTime }) => sweepTime));
  const parts = [
    state,
    `${paceText(sample, interval, now)}${wide ? ` (list ${sweep.toFixed(2)} s)` : ''}`,
    `${percent(sample.cost, 1)} of a core`,
    ...(wide ? [lossText(sample)] : []),
    clock(now),
  ];
  const right = parts.join('  ');
  const x = screen.columns - textWidth(right) - 1;
  // Where there is no room for everything, what this is about comes before what it is.
  const titles = [['conntrack top', host, ...where], [host, ...where], where].map((title) => title.join(' · '));
  const title = titles.find((text) => 1 + textWidth(text) < x) ?? titles.at(-1)!;
  bothSides(screen, y, separated(title, ascii), right, BOLD, paused === undefined ? 0 : BOLD | COLORS.yellow);
  if (paused === undefined) screen.restyle(x, y, 1, late ? COLORS.yellow : COLORS.green);
}

/** Which tables these are, if not that of one's own namespace alone. */
function namespacesText({ namespaces }: MeterSample, wide: boolean): string[] {
  const [first] = namespaces;
  if (namespaces.length > 1) return [`${namespaces.length} ${wide ? 'namespaces' : 'netns'}`];
  return first === undefined || first.name === OWN ? [] : [`netns ${first.name}`];
}

/** Whether a sample should have come long ago. */
function isLate({ at }: Pick<MeterSample, 'at'>, interval: number, now: Date): boolean {
  return now.getTime() - at > VERY_LATE * interval;
}

/** How often there are samples: as planned, unless they are late. */
export function paceText({ at, seconds, namespaces }: MeterSample, interval: number, now: Date): string {
  const planned = interval / 1000;
  if (isLate({ at }, interval, now)) return `last list ${age((now.getTime() - at) / 1000)} ago`;
  // Namespaces take turns: each of them as often as that.
  const measured = seconds * namespaces.length;
  return `every ${(measured > LATE * planned ? measured : planned).toFixed(1)} s`;
}

function lossText({ namespaces }: MeterSample): string {
  const lost = namespaces.reduce((sum, one) => sum + one.lost, 0);
  return lost === 0 ? 'no event lost' : `events lost ${lost} times`;
}

function drawTable(screen: Screen, y: number, { sample }: HeaderFacts, { ascii }: CellContext): void {
  const [first, ...others] = sample.namespaces;
  if (first === undefined) {
    screen.put(screen.put(1, y, 'Table ', DIM), y, 'none: the network namespace is gone', COLORS.yellow);
    return;
  }
  const fullest = others.reduce((most, next) => (fillOf(next) > fillOf(most) ? next : most), first);
  const fill = fillOf(fullest);
  const name = sample.namespaces.length > 1 ? ` ${fullest.name}` : '';
  const width = Math.max(10, Math.floor((screen.columns - 32) / 2));
  let x = screen.put(1, y, `Table${name} `, DIM);
  const color = fill >= FULL ? COLORS.red : fill >= NEARLY_FULL ? COLORS.yellow : COLORS.green;
  const most = fullest.maxEntries;
  if (most) x = drawGauge(screen, x, y, gauge(fill, width, ascii ? 'ascii' : 'unicode'), color) + 2;
  const wide = screen.columns >= WIDE;
  const pace = wide ? netPace(sample) : '';
  const left = `${count(fullest.entries)}${most ? ` of ${count(most)}  ${percent(fullest.entries, most)}` : ' entries'}${pace}`;
  const right =
    sample.full === undefined
      ? ''
      : `full in ${fullAge(sample.full)}${wide ? ` (${clock(new Date(Date.now() + sample.full * 1000)).slice(0, 5)}) at this pace` : ''}`;
  x = screen.put(x, y, separated(left, ascii));
  if (right !== '') screen.put(Math.max(x + 2, screen.columns - right.length - 1), y, right, BOLD | COLORS.red);
}

function fullAge(seconds: number): string {
  return seconds >= 90
    ? `${age(Math.round(seconds / 60) * 60)
        .replace(/00s$/, '')
        .replace(/m$/, ' min')}`
    : age(seconds);
}

/** How the number of flows changes. */
function netPace({ begun, ended, seconds }: MeterSample): string {
  if (seconds === 0) return '';
  const change = Math.round((begun - ended) / seconds);
  return `  ${change < 0 ? '-' : '+'}${count(Math.abs(change))}/s`;
}

function drawFlows(screen: Screen, y: number, { sample }: HeaderFacts, _: CellContext): void {
  const { begun, ended, seconds, protocols, unreplied, flows } = sample;
  const perSecond = (events: number) => (seconds === 0 ? '·' : `${count(events / seconds)}/s`);
  const wide = screen.columns >= WIDE;
  const number = wide ? count : shortCount;
  const kinds = [
    ['tcp', protocols.tcp],
    ['udp', protocols.udp],
    ...(wide ? [['icmp', protocols.icmp] as const] : []),
    ['other', protocols.other + (wide ? 0 : protocols.icmp)],
  ] as const;
  const kindsText = kinds.map(([name, of]) => `${name} ${number(of)}`).join('  ');
  const events = `new ${perSecond(begun)}  ended ${perSecond(ended)}  unreplied ${percent(unreplied, flows)}`;
  if (!wide) {
    bothSides(
      screen,
      y,
      `Flows${seconds === 0 ? '' : netPace(sample).slice(1)}  ${events.replace(/ {2}unreplied.*/, '')}`,
      kindsText,
    );
    screen.restyle(1, y, LABEL, DIM);
    return;
  }
  const kernel = { drop: 0, earlyDrop: 0, insertFailed: 0 };
  for (const one of sample.namespaces)
    for (const name of ['drop', 'earlyDrop', 'insertFailed'] as const) kernel[name] += one.kernel[name];
  const right = `drop ${count(kernel.drop)}  early drop ${count(kernel.earlyDrop)}  insert failed ${count(kernel.insertFailed)}`;
  bothSides(screen, y, `Flows ${events}   ${kindsText}`, right, 0, kernel.drop + kernel.earlyDrop > 0 ? COLORS.red : 0);
  screen.restyle(1, y, LABEL, DIM);
}

function drawRate(screen: Screen, y: number, { sample, series }: HeaderFacts, context: CellContext): void {
  const { unit, ascii } = context;
  const known = sample.rate;
  const each = (['original', 'reply'] as const).map(
    (direction) => `${arrow(direction, ascii)} ${rate(known?.[direction], unit)}`,
  );
  const packets = screen.columns >= WIDE ? `   ${shortCount(sample.packetRate)} packet/s` : '';
  const left = `Rate  ${each.join('  ')} ${unit === 'bits' ? 'bit/s' : 'B/s'}${packets}`;
  const values = Array.from(series.rateOriginal, (value, n) => {
    const sum = value + series.rateReply[n]!;
    return Number.isNaN(sum) ? undefined : sum;
  });
  const peak = `peak ${rate(
    values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0),
    unit,
  )}`;
  const x = screen.put(1, y, left) + 2;
  screen.restyle(1, y, LABEL, DIM);
  const width = screen.columns - x - peak.length - 4;
  if (width < 8) return;
  screen.put(x, y, sparkline(values, width, ascii ? 'ascii' : 'unicode'), COLORS.cyan);
  screen.put(screen.columns - peak.length - 1, y, peak, DIM);
}

function fillOf({ entries, maxEntries }: NamespaceSample): number {
  return maxEntries ? entries / maxEntries : 0;
}

function clock(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** In ASCII, a dot between parts is a hyphen. */
export function separated(text: string, ascii: boolean): string {
  return ascii ? text.replaceAll('·', '-') : text;
}
