// What has passed: rates of both directions, how many flows there were, how many began and ended.

import { signal } from '@preact/signals';
import { count, rate, shortCount } from '../../units.js';
import { type History, type HistoryName, pastSamples } from './history.js';
import { LineChart } from './line-chart.js';
import { measured } from './page-state.js';
import { look, minuteOf, view } from './page-view.js';

interface Line {
  readonly name: HistoryName;
  readonly label: string;
  /** Of the style sheet. */
  readonly color: string;
}

interface Kind {
  readonly title: string;
  readonly lines: readonly Line[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  rate: {
    title: 'rate',
    lines: [
      { name: 'rateOriginal', label: '→', color: 'out' },
      { name: 'rateReply', label: '←', color: 'in' },
    ],
  },
  flows: { title: 'flows', lines: [{ name: 'entries', label: 'flows', color: 'out' }] },
  begun: {
    title: 'new / ended',
    lines: [
      { name: 'begun', label: 'new', color: 'out' },
      { name: 'ended', label: 'ended', color: 'in' },
    ],
  },
};
const RANGES = [
  ['600', '10 min'],
  ['7200', '2 h'],
  ['86400', '24 h'],
] as const;
/** Rows of the table that says the same in numbers. */
const ROWS = 30;

/** The place under the pointer; undefined: the newest. */
const pointed = signal<number | undefined>(undefined);
/** A part of the range that was dragged, in seconds since the epoch. */
const closer = signal<{ readonly from: number; readonly to: number } | undefined>(undefined);
const asTable = signal(false);

export function ChartPanel() {
  const kind = KINDS[view.value.chart]!;
  const past = pastSamples.value;
  return (
    <section class="panel chart" aria-label="History">
      <div class="panel-head">
        <div class="choice" role="group" aria-label="What is drawn">
          {Object.entries(KINDS).map(([value, { title }]) => (
            <button key={value} type="button" aria-pressed={view.value.chart === value} onClick={() => look({ chart: value })}>
              {title}
            </button>
          ))}
        </div>
        <Readout kind={kind} />
        <span class="gap" />
        <div class="choice" role="group" aria-label="How far back">
          {RANGES.map(([value, text]) => (
            <button
              key={value}
              type="button"
              aria-pressed={view.value.range === value}
              onClick={() => {
                closer.value = undefined;
                look({ range: value });
              }}
            >
              {text}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="quiet"
          aria-pressed={asTable.value}
          onClick={() => {
            asTable.value = !asTable.value;
          }}
        >
          table
        </button>
      </div>
      {asTable.value ? <Numbers kind={kind} past={past} /> : <Plot kind={kind} />}
    </section>
  );
}

function textOf(name: HistoryName, value: number | null | undefined): string {
  if (name.startsWith('rate')) return rate(measured(value), view.value.unit as 'bits' | 'bytes');
  return name === 'entries' ? count(value ?? undefined) : `${shortCount(value ?? undefined)}/s`;
}

/** The numbers at the pointer, or now. */
function Readout({ kind: { lines } }: { readonly kind: Kind }) {
  const past = pastSamples.value;
  const at = pointed.value ?? (past ? past.times.length - 1 : 0);
  const time = past?.times[at];
  return (
    <div class="readout">
      {lines.map(({ name, label, color }) => (
        <span key={name}>
          <i style={{ color: `var(--${color})` }}>{label}</i> <b>{textOf(name, past?.[name][at])}</b>
        </span>
      ))}
      <span class="when">{pointed.value === undefined || time === undefined ? '' : timeText(time)}</span>
    </div>
  );
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}

function Plot({ kind }: { readonly kind: Kind }) {
  const past = pastSamples.value;
  const [from, to] = rangeOf(past);
  const lines = kind.lines.map(({ name, color }) => ({ color, values: past?.[name].slice(from, to + 1) ?? [] }));
  const summary = kind.lines
    .map(({ name, label }) => {
      const values = (past?.[name] ?? []).filter((value) => value !== null);
      return `${label} now ${textOf(name, values.at(-1))}, at most ${textOf(name, values.length === 0 ? undefined : Math.max(...values))}`;
    })
    .join('; ');
  return (
    <div class="plot">
      <LineChart
        times={past?.times.slice(from, to + 1) ?? []}
        lines={lines}
        label={`${kind.title}: ${summary}`}
        scale={kind.lines[0]!.name.startsWith('rate') && view.value.unit === 'bits' ? 8 : 1}
        pointed={(index) => {
          pointed.value = index === undefined ? undefined : from + index;
        }}
        dragged={(first, last) => {
          if (past) closer.value = { from: past.times[from + first]!, to: past.times[from + last]! };
        }}
        marked={markOf(past, from, to)}
        chosen={(index) => {
          if (past) lookAt(past.times[from + index]!);
        }}
        reset={() => {
          closer.value = undefined;
        }}
      />
    </div>
  );
}

/** Seconds of the top lists that are remembered. */
const MINUTE = 60;

/** Looks at the top list of the minute of a time; that of the minute that goes on is the list of now. */
function lookAt(seconds: number): void {
  const newest = pastSamples.value?.times.at(-1) ?? 0;
  const minute = Math.floor(seconds / MINUTE) * MINUTE;
  look({ at: minute >= Math.floor(newest / MINUTE) * MINUTE ? '' : String(minute) });
}

/** Where the middle of the minute is that is looked at, among the places that are shown. */
function markOf(past: History | undefined, from: number, to: number): number | undefined {
  const at = minuteOf.value;
  if (at === undefined || !past) return undefined;
  const place = (at + (past.step < MINUTE ? MINUTE / 2 : 0) - past.times[from]!) / past.step;
  return place >= 0 && place <= to - from ? place : undefined;
}

/** The places that are shown, both included. */
function rangeOf(past: History | undefined): readonly [from: number, to: number] {
  const times = past?.times ?? [];
  const { from, to } = closer.value ?? { from: 0, to: Number.POSITIVE_INFINITY };
  const first = times.findIndex((time) => time >= from);
  const last = times.findLastIndex((time) => time <= to);
  return first < 0 || last - first < 2 ? [0, times.length - 1] : [first, last];
}

/** The same as numbers: means of equal parts of the range. */
function Numbers({ kind: { lines }, past }: { readonly kind: Kind; readonly past: History | undefined }) {
  const times = past?.times ?? [];
  const size = Math.ceil(times.length / ROWS);
  const parts =
    size === 0 ? [] : Array.from({ length: Math.floor(times.length / size) }, (_, n) => times.length - (n + 1) * size);
  const mean = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  return (
    <div class="plot numbers" tabIndex={0} role="region" aria-label="History as a table">
      <table>
        <thead>
          <tr>
            <th scope="col">from</th>
            {lines.map(({ name, label }) => (
              <th key={name} scope="col" class="right">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {parts.map((from) => (
            <tr key={from}>
              <td>
                <button type="button" class="small" title="Who had most then" onClick={() => lookAt(times[from]!)}>
                  {timeText(times[from]!)}
                </button>
              </td>
              {lines.map(({ name }) => (
                <td key={name} class="right">
                  {textOf(name, mean(past![name].slice(from, from + size)))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
