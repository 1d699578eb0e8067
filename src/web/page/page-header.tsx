// The upper lines: what this is, whether it is live, what it costs; how full the table is; what one should know of the numbers.

import { age, count, percent } from '../../units.js';
import { CopyLine } from './copy-line.js';
import { DoctorBell } from './doctor-dialog.js';
import { clock, link, overlay, pausedAt, sample, sampledAt, shownTable, status, theme } from './page-state.js';
import { look, view } from './page-view.js';

const NEARLY_FULL = 0.8;
const FULL = 0.95;
/** Seconds beyond three intervals after which it is said how old the numbers are. */
const LATE = 3;
/** Notices that do not keep anybody from anything. */
const MINOR: readonly string[] = ['EVENTS_NEW_ONLY', 'TIMESTAMP_OFF'];

export function pause(): void {
  pausedAt.value = pausedAt.value === undefined ? Date.now() : undefined;
}

export function PageHeader() {
  const now = sample.value;
  const { host = '', changes, interval = 0, scope } = status.value ?? {};
  const { netns } = view.value;
  const old =
    sampledAt.value === undefined || pausedAt.value !== undefined ? 0 : Math.max(0, (clock.value - sampledAt.value) / 1000);
  const names = (now?.namespaces ?? []).map(({ name }) => name);
  // One that a link names may have gone.
  if (netns !== '' && !names.includes(netns)) names.push(netns);
  return (
    <header>
      <h1>
        conntrack <span>{host}</span>
      </h1>
      {(names.length > 1 || netns !== '') && (
        <select aria-label="Network namespace" value={netns} onChange={({ currentTarget: { value } }) => look({ netns: value })}>
          <option value="">all namespaces</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
      {scope !== undefined && <code class="scope">only {scope}</code>}
      <LinkState />
      <button type="button" class="pause" aria-pressed={pausedAt.value !== undefined} onClick={pause}>
        {pausedAt.value === undefined ? 'Pause' : 'Go on'}
      </button>
      <span class="gap" />
      <span class="cost">
        {changes === false && <span class="reading">read-only</span>}
        {old > LATE + (3 * interval) / 1000 ? <b class="old">{age(old)} old</b> : `every ${(interval / 1000).toFixed(1)} s`}{' '}
        <span class="wide">· {now ? Math.round(100 * now.cost) : '·'} % of a core</span>
      </span>
      <DoctorBell />
      <button
        type="button"
        class="quiet"
        title="Bits or bytes (b)"
        onClick={() => look({ unit: view.value.unit === 'bits' ? 'bytes' : 'bits' })}
      >
        {view.value.unit === 'bits' ? 'bit/s' : 'B/s'}
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={`Theme: ${theme.value}`}
        title={`Theme: ${theme.value}`}
        onClick={() => {
          theme.value = theme.value === 'auto' ? 'dark' : theme.value === 'dark' ? 'light' : 'auto';
        }}
      >
        <span class="theme" aria-hidden="true">
          ◐
        </span>{' '}
        {theme.value}
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Help"
        title="Help (?)"
        onClick={() => {
          overlay.value = { what: 'help' };
        }}
      >
        ?
      </button>
    </header>
  );
}

function LinkState() {
  const paused = pausedAt.value;
  const [name, text] =
    link.value !== 'live'
      ? ['away', link.value === 'connecting' ? 'connecting' : 'reconnecting']
      : paused === undefined
        ? ['live', 'live']
        : ['paused', `paused ${age(Math.max(0, (clock.value - paused) / 1000))}`];
  return (
    <span class={`link ${name}`} role="status">
      {text}
    </span>
  );
}

export function Gauge() {
  const table = shownTable.value;
  const now = sample.value;
  const { entries = 0, maxEntries, full, kernel } = table ?? {};
  const fill = maxEntries ? entries / maxEntries : 0;
  const change = now && now.seconds > 0 ? Math.round((now.begun - now.ended) / now.seconds) : undefined;
  const dropped = (kernel?.drop ?? 0) + (kernel?.earlyDrop ?? 0);
  return (
    <div class="gauge-line">
      <span class="label">{(now?.namespaces.length ?? 0) > 1 ? table?.name : 'Table'}</span>
      <div
        class={`gauge ${fill >= FULL ? 'full' : fill >= NEARLY_FULL ? 'high' : ''}`}
        role="meter"
        aria-label="Entries in use"
        aria-valuemin={0}
        aria-valuemax={maxEntries ?? entries}
        aria-valuenow={entries}
      >
        <i style={{ width: `${100 * fill}%` }} />
      </div>
      <span class="fill">
        <b>{now ? count(entries) : '·'}</b>
        {maxEntries !== undefined && (
          <>
            {' '}
            of {count(maxEntries)} · <b>{percent(entries, maxEntries)}</b>
          </>
        )}
      </span>
      <span class="pace">{change === undefined ? '' : `${change < 0 ? '−' : '+'}${count(Math.abs(change))}/s`}</span>
      <span class="forecast">{full === undefined ? '' : `full at ${timeIn(full)} (in ${age(full)})`}</span>
      <span class="gap" />
      <span class={dropped > 0 ? 'dropped bad' : 'dropped'}>dropped {count(dropped)}</span>
    </div>
  );
}

/** The time of the day in so many seconds, as it is here. */
function timeIn(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

export function Notices() {
  const notices = status.value?.notices.filter(({ code }) => !MINOR.includes(code)) ?? [];
  return (
    <div class="notices">
      {notices.map(({ code, text, remedy, netns }) => (
        <div key={`${code} ${netns}`} class={`notice${code === 'TABLE_FULL' ? ' bad' : ''}`}>
          <span>
            {netns === undefined ? '' : `${netns}: `}
            {text}
          </span>
          {remedy !== undefined && <CopyLine text={remedy} />}
        </div>
      ))}
    </div>
  );
}
