// What the samples said, for the chart: asked for once, and then kept up by the samples of the stream.

import { effect, signal } from '@preact/signals';
import { ask } from './api.js';
import { oneAtATime, pausedAt, refused } from './page-state.js';
import { view } from './page-view.js';
import type { PageSample, PageSeries } from './shapes.js';

const NAMES = ['entries', 'begun', 'ended', 'rateOriginal', 'rateReply'] as const;
export type HistoryName = (typeof NAMES)[number];
type Numbers = (number | null)[];

/** Columns of equal length, oldest first; times are seconds since the epoch. */
export interface History extends Readonly<Record<HistoryName, Numbers>> {
  readonly range: number;
  readonly step: number;
  readonly times: number[];
}

export const pastSamples = signal<History | undefined>(undefined);

const load = oneAtATime(async () => {
  const range = Number(view.value.range);
  try {
    take(await ask<PageSeries>('series', { seconds: String(range) }), range);
  } catch (error) {
    refused(error);
  }
});

function take(series: PageSeries, range: number): void {
  if (range !== Number(view.value.range)) return void load();
  const { step, end, entries } = series;
  const times = entries.map((_, n) => end - (entries.length - 1 - n) * step);
  const columns = Object.fromEntries(NAMES.map((name) => [name, [...series[name]]])) as unknown as Record<HistoryName, Numbers>;
  pastSamples.value = { range, step, times, ...columns };
}

/** The server sends what a stream has missed. */
export function takeMissed(series: PageSeries): void {
  if (view.value.range === '600') take(series, 600);
  else void load();
}

/** The next sample: one point more, one less at the other end. */
export function addSample({ at, seconds, entries, begun, ended, rate }: PageSample): void {
  const past = pastSamples.value;
  if (!past || pausedAt.value !== undefined) return;
  const time = Math.floor(at / 1000 / past.step) * past.step;
  const missing = Math.round((time - past.times.at(-1)!) / past.step);
  if (missing <= 0) return;
  // Longer steps are means, which the server has; after a pause there is a gap.
  if (past.step > 1 || missing > 60) return void load();
  const perSecond = (events: number) => (seconds > 0 ? events / seconds : null);
  const values: Readonly<Record<HistoryName, number | null>> = {
    entries,
    begun: perSecond(begun),
    ended: perSecond(ended),
    rateOriginal: rate?.original ?? null,
    rateReply: rate?.reply ?? null,
  };
  const next = <T>(column: readonly T[], made: (n: number) => T): T[] => [
    ...column.slice(missing),
    ...Array.from({ length: missing }, (_, n) => made(n)),
  ];
  const columns = Object.fromEntries(NAMES.map((name) => [name, next(past[name], () => values[name])])) as Record<
    HistoryName,
    Numbers
  >;
  pastSamples.value = { ...past, times: next(past.times, (n) => time - missing + 1 + n), ...columns };
}

/** Follows the range of the view. */
export function followHistory(): void {
  let range = '';
  effect(() => {
    if (view.value.range === range) return;
    range = view.value.range;
    void load();
  });
}

export { load as loadHistory };
