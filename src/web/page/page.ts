// The page of `conntrack serve`: how full the table is, what passes, who has most, and the flows. It asks again whenever the stream says
// that there is news.

import { ApiError, ask, follow, readToken, setToken } from './api.js';
import { chart, element, line } from './elements.js';
import { bits, bytes, count, duration } from './numbers.js';
import type { DryRun, Flows, Group, PageFlow, PageSeries, Sample, Status } from './shapes.js';

const ROWS = 200;
const GROUPS = 12;
/** Milliseconds between attempts to reach a server that has gone. */
const AGAIN = 2000;
const GROUPINGS: readonly (readonly [by: string, text: string])[] = [
  ['src', 'source'],
  ['src/24', 'source network'],
  ['dst', 'destination'],
  ['service', 'service'],
  ['pair', 'source and destination'],
  ['state', 'state'],
  ['protocol', 'protocol'],
  ['snat', 'outside address'],
  ['dnat', 'real destination'],
  ['mark', 'mark'],
  ['netns', 'network namespace'],
];

interface Column {
  readonly title: string;
  readonly sort?: string;
  readonly number?: true;
  text(flow: PageFlow): string;
}

const COLUMNS: readonly Column[] = [
  { title: 'PROTO', sort: 'protocol', text: ({ flow }) => flow.protocol },
  { title: 'SOURCE', sort: 'src', text: ({ flow: { original } }) => endpoint(original.src, original.sport) },
  { title: 'DESTINATION', sort: 'dst', text: ({ flow: { original } }) => endpoint(original.dst, original.dport) },
  { title: 'NAT', text: translation },
  { title: 'STATE', sort: 'state', text: ({ flow }) => flow.state ?? '' },
  { title: '→ bit/s', sort: 'averageOriginal', number: true, text: ({ average }) => bits(average?.original) },
  { title: '← bit/s', sort: 'averageReply', number: true, text: ({ average }) => bits(average?.reply) },
  {
    title: 'BYTES',
    sort: 'bytes',
    number: true,
    text: ({ flow: { original, reply } }) =>
      bytes(original.bytes === undefined ? undefined : Number(original.bytes) + Number(reply.bytes)),
  },
  { title: 'AGE', sort: 'age', number: true, text: ({ age, ageAtLeast }) => `${ageAtLeast ? '≥' : ''}${duration(age)}` },
];

function endpoint(address = '?', port?: number): string {
  return port === undefined ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function translation({ flow: { original, reply } }: PageFlow): string {
  return [
    ...(reply.dst !== original.src || reply.dport !== original.sport ? [`s ${endpoint(reply.dst, reply.dport)}`] : []),
    ...(reply.src !== original.dst || reply.sport !== original.dport ? [`d ${endpoint(reply.src, reply.sport)}`] : []),
  ].join(' ');
}

/** What somebody looks at. It is in the address behind #, so that a link is a view. */
const view = { filter: '', by: 'src', sort: 'average', reverse: false };
let status: Status | undefined;
let sample: Sample | undefined;
let paused = false;
let asking = false;

const parts = {
  state: element('span', { class: 'live' }, 'connecting'),
  cost: element('span', { class: 'right' }),
  title: element('h1', {}, 'conntrack'),
  gauge: element('div', { class: 'gauge', role: 'img' }, element('i')),
  fill: element('span'),
  notices: element('div'),
  rate: element('span'),
  chart: element('div'),
  groups: element('tbody'),
  by: element('select', { 'aria-label': 'group by', change: () => set({ by: parts.by.value }) }),
  filter: element('input', {
    class: 'filter',
    placeholder: 'filter, such as tcp and dst port 443',
    'aria-label': 'filter',
    spellcheck: 'false',
    autocomplete: 'off',
    keydown: typed,
    input: check,
  }),
  error: element('div', { class: 'error', role: 'alert' }),
  matched: element('span', { 'aria-live': 'polite' }),
  pause: element('button', { click: () => pause(!paused) }, 'pause'),
  remove: element(
    'button',
    { class: 'danger', hidden: true, click: () => void confirmDeletion({ filter: view.filter }) },
    'delete what matches…',
  ),
  head: element('tr'),
  rows: element('tbody'),
};

function set(change: Partial<typeof view>): void {
  Object.assign(view, change);
  history.replaceState(
    null,
    '',
    `#${new URLSearchParams({ filter: view.filter, by: view.by, sort: view.sort, ...(view.reverse ? { reverse: '1' } : {}) })}`,
  );
  show();
  void refresh();
}

function readView(): void {
  const values = new URLSearchParams(location.hash.slice(1));
  view.filter = values.get('filter') ?? '';
  view.by = GROUPINGS.find(([by]) => by === values.get('by'))?.[0] ?? 'src';
  view.sort = COLUMNS.find(({ sort }) => sort === values.get('sort'))?.sort ?? 'average';
  view.reverse = values.has('reverse');
}

function pause(now: boolean): void {
  paused = now;
  parts.pause.textContent = paused ? 'go on' : 'pause';
  if (!paused) void refresh();
}

function show(): void {
  parts.filter.value = view.filter;
  parts.by.value = view.by;
  parts.head.replaceChildren(
    ...COLUMNS.map(({ title, sort, number }) =>
      element(
        'th',
        {
          class: number ? 'n' : undefined,
          'aria-sort': sort === view.sort ? (view.reverse ? 'ascending' : 'descending') : undefined,
        },
        sort === undefined
          ? title
          : element(
              'button',
              { click: () => set({ sort, reverse: sort === view.sort && !view.reverse }) },
              `${title}${sort === view.sort ? (view.reverse ? ' ▲' : ' ▼') : ''}`,
            ),
      ),
    ),
    element('th'),
  );
}

function typed(event: Event): void {
  if ((event as KeyboardEvent).key === 'Enter') set({ filter: parts.filter.value.trim() });
}

/** Says what is wrong with a filter while it is typed. */
async function check(): Promise<void> {
  const text = parts.filter.value;
  const { valid, error } = await ask<{ valid: boolean; error?: { problem: string; hint?: string } }>(
    `filter?${new URLSearchParams({ text })}`,
  );
  if (text !== parts.filter.value) return;
  parts.filter.setAttribute('aria-invalid', String(!valid));
  parts.error.textContent = error === undefined ? '' : `${error.problem}${error.hint === undefined ? '' : `: ${error.hint}`}`;
}

async function refresh(): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    const filter: Record<string, string> = view.filter === '' ? {} : { filter: view.filter };
    const order: Record<string, string> = view.reverse ? { reverse: '1' } : {};
    const [flows, groups, series] = await Promise.all([
      ask<Flows>(`flows?${new URLSearchParams({ ...filter, ...order, sort: view.sort, limit: String(ROWS), hold: '1' })}`),
      ask<{ groups: Group[] }>(`groups?${new URLSearchParams({ ...filter, by: view.by, sort: 'flows', limit: String(GROUPS) })}`),
      ask<PageSeries>('series?seconds=600'),
    ]);
    parts.error.textContent = '';
    showFlows(flows);
    showGroups(groups.groups, flows.matched);
    showSeries(series);
  } catch (error) {
    refused(error);
  } finally {
    asking = false;
  }
}

function showFlows({ total, matched, flows }: Flows): void {
  parts.matched.textContent = `${count(matched)} of ${count(total)} flows${matched > flows.length ? `, the first ${count(flows.length)}` : ''}`;
  parts.remove.hidden = !status?.changes || view.filter === '' || matched === 0;
  parts.rows.replaceChildren(
    ...flows.map((flow) =>
      element(
        'tr',
        { class: flow.flow.status?.includes('SEEN_REPLY') ? undefined : 'silent' },
        ...COLUMNS.map((column) => element('td', { class: column.number ? 'n' : undefined }, column.text(flow))),
        element('td', {}, element('button', { class: 'link', click: () => void details(flow.key) }, 'details')),
      ),
    ),
  );
}

function showGroups(groups: readonly Group[], all: number): void {
  const most = Math.max(1, ...groups.map(({ flows }) => flows));
  parts.groups.replaceChildren(
    ...groups.map(({ key, filter, flows, unreplied, average }) => {
      const bar = element('i', { class: 'share' });
      bar.style.width = `${(100 * flows) / most}%`;
      const name =
        filter === undefined
          ? key
          : element(
              'button',
              {
                class: 'link',
                title: filter,
                click: () => set({ filter: view.filter === '' ? filter : `(${view.filter}) and (${filter})` }),
              },
              key,
            );
      const silent = unreplied > flows / 2 && flows >= 20;
      return element(
        'tr',
        { class: silent ? 'silent' : undefined },
        element('td', { class: 'bar' }, bar, element('span', {}, name)),
        element('td', { class: 'n' }, count(flows)),
        element('td', { class: 'n' }, `${((100 * flows) / Math.max(all, 1)).toFixed(1)} %`),
        element(
          'td',
          { class: 'n' },
          silent ? `${Math.round((100 * unreplied) / flows)} % unreplied` : bits(average && average.original + average.reply),
        ),
      );
    }),
  );
}

function showSeries({ rateOriginal, rateReply }: PageSeries): void {
  const known = rateOriginal.findIndex((value) => value !== null);
  const since = (values: readonly (number | null)[]) => (known < 0 ? [] : values.slice(known));
  const most = Math.max(1, ...rateOriginal.map((value) => value ?? 0), ...rateReply.map((value) => value ?? 0));
  parts.chart.replaceChildren(chart(line(since(rateOriginal), most, 'out'), line(since(rateReply), most, 'in')));
  parts.rate.textContent = `→ ${bits(sample?.rate?.original)}  ← ${bits(sample?.rate?.reply)} bit/s, at most ${bits(most)} in 10 minutes`;
}

function showSample(now: Sample): void {
  sample = now;
  const fill = now.maxEntries ? now.entries / now.maxEntries : 0;
  (parts.gauge.firstElementChild as HTMLElement).style.width = `${100 * fill}%`;
  parts.gauge.className = `gauge ${fill >= 0.95 ? 'full' : fill >= 0.8 ? 'high' : ''}`;
  parts.gauge.setAttribute('aria-label', `${Math.round(100 * fill)} % of the table is in use`);
  const pace = now.seconds > 0 ? ` · new ${count(now.begun / now.seconds)}/s · ended ${count(now.ended / now.seconds)}/s` : '';
  const full = now.full === undefined ? '' : ` · full in ${duration(now.full)}`;
  parts.fill.textContent = `${count(now.entries)}${now.maxEntries === undefined ? '' : ` of ${count(now.maxEntries)} · ${(100 * fill).toFixed(fill < 0.1 ? 1 : 0)} %`}${pace}${full}`;
  parts.cost.textContent = `every ${((status?.interval ?? 0) / 1000).toFixed(1)} s · ${Math.round(100 * now.cost)} % of a core${status?.changes ? '' : ' · reading only'}`;
}

async function showStatus(): Promise<void> {
  status = await ask<Status>('status');
  parts.title.textContent = `conntrack · ${status.host}`;
  document.title = `conntrack · ${status.host}`;
  parts.notices.replaceChildren(
    ...status.notices
      .filter(({ code }) => !['EVENTS_NEW_ONLY', 'TIMESTAMP_OFF'].includes(code))
      .map(({ text, remedy, netns }) =>
        element(
          'div',
          { class: 'notice' },
          netns === undefined ? text : `${netns}: ${text}`,
          remedy === undefined ? undefined : element('code', {}, remedy),
        ),
      ),
  );
}

/** One flow: its ways, and everything else that is known. */
async function details(key: string): Promise<void> {
  try {
    const flow = await ask<PageFlow & { nat: object }>(`flows/${key}`);
    const removeIt = () => {
      dialog.close();
      void confirmDeletion({ flows: [key] });
    };
    const dialog: HTMLDialogElement = element(
      'dialog',
      { 'aria-label': 'a flow' },
      element(
        'h2',
        {},
        `${flow.flow.protocol} ${endpoint(flow.flow.original.src, flow.flow.original.sport)} → ${endpoint(flow.flow.original.dst, flow.flow.original.dport)}`,
      ),
      element('pre', {}, JSON.stringify({ nat: flow.nat, ...flow.flow }, null, 2)),
      element(
        'div',
        { class: 'buttons' },
        status?.changes && element('button', { class: 'danger', click: removeIt }, 'delete…'),
        element('button', { autofocus: true, click: () => dialog.close() }, 'close'),
      ),
    );
    open(dialog);
  } catch (error) {
    refused(error);
  }
}

/** Looks what would go, asks, and deletes. */
async function confirmDeletion(what: { readonly filter: string } | { readonly flows: readonly string[] }): Promise<void> {
  try {
    const { matched, warnings, confirm } = await ask<DryRun>('deletions', { ...what, dryRun: true });
    const must = matched > 100;
    const number = element('input', { inputmode: 'numeric', 'aria-label': 'how many' });
    const go = async () => {
      if (must && number.value.replaceAll(',', '') !== String(matched)) return;
      dialog.close();
      const { deleted, alreadyGone } = await ask<{ deleted: number; alreadyGone: number }>('deletions', { ...what, confirm });
      parts.error.textContent = `deleted ${count(deleted)}${alreadyGone > 0 ? `, ${count(alreadyGone)} already gone` : ''}`;
      await refresh();
    };
    const dialog = element(
      'dialog',
      { 'aria-label': 'delete' },
      element('h2', {}, `Delete ${count(matched)} ${matched === 1 ? 'flow' : 'flows'}?`),
      'filter' in what && element('p', {}, element('code', {}, what.filter)),
      ...warnings.map((warning) => element('p', {}, warning)),
      must && element('p', {}, `Type ${count(matched)} to delete: `, number),
      element(
        'div',
        { class: 'buttons' },
        element('button', { autofocus: true, click: () => dialog.close() }, 'cancel'),
        element('button', { class: 'danger', click: () => void go().catch(refused) }, 'delete'),
      ),
    );
    open(dialog);
  } catch (error) {
    refused(error);
  }
}

function open(dialog: HTMLDialogElement): void {
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function refused(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) askToken();
  else if (error instanceof ApiError)
    parts.error.textContent = `${error.message}${error.hint === undefined ? '' : `: ${error.hint}`}`;
  else if (!(error instanceof TypeError)) throw error; // the server has gone: the stream says so
}

function askToken(): void {
  if (document.querySelector('.token')) return;
  const token = element('input', { type: 'password', 'aria-label': 'token', autocomplete: 'off' });
  const go = (event: Event) => {
    event.preventDefault();
    setToken(token.value.trim());
    location.reload();
  };
  document.body.replaceChildren(
    element(
      'form',
      { class: 'token', submit: go },
      element('h1', {}, 'conntrack serve'),
      element('label', {}, 'This server needs its token.'),
      token,
      element('button', {}, 'open'),
    ),
  );
  token.focus();
}

/** Follows the stream, and comes back when it breaks. */
async function live(): Promise<void> {
  for (;;) {
    const abort = new AbortController();
    try {
      await showStatus();
      await refresh();
      await follow((type, data) => {
        parts.state.className = 'live';
        parts.state.textContent = paused ? 'paused' : 'live';
        if (type === 'sample') {
          showSample(data as Sample);
          if (!paused && document.visibilityState === 'visible') void refresh();
        } else if (type === 'status') void showStatus();
      }, abort.signal);
    } catch (error) {
      refused(error);
      if (error instanceof ApiError && error.status === 401) return;
    }
    abort.abort();
    parts.state.className = 'stale';
    parts.state.textContent = 'reconnecting';
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

function keys(event: KeyboardEvent): void {
  if (
    event.target instanceof HTMLInputElement ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector('dialog')
  )
    return;
  if (event.key === '/') parts.filter.focus();
  else if (event.key === ' ' && event.target === document.body) pause(!paused);
  else if (event.key === 'Escape' && view.filter !== '') set({ filter: '' });
  else return;
  event.preventDefault();
}

readToken();
readView();
parts.by.append(...GROUPINGS.map(([by, text]) => element('option', { value: by }, text)));
document.addEventListener('keydown', keys);
window.addEventListener('hashchange', () => {
  readView();
  show();
  void refresh();
});
document.body.append(
  element('header', {}, parts.title, parts.state, parts.pause, parts.cost),
  element('div', { class: 'line' }, 'Table', parts.gauge, parts.fill),
  parts.notices,
  element(
    'div',
    { class: 'columns' },
    element(
      'section',
      { class: 'panel', 'aria-label': 'traffic' },
      element('div', { class: 'head' }, element('h2', {}, 'Traffic'), parts.rate),
      parts.chart,
    ),
    element(
      'section',
      { class: 'panel', 'aria-label': 'largest groups' },
      element('div', { class: 'head' }, element('h2', {}, 'Most flows by'), parts.by),
      element('div', { class: 'scroll' }, element('table', {}, parts.groups)),
    ),
  ),
  element(
    'div',
    { class: 'line' },
    parts.filter,
    element('button', { click: () => set({ filter: '' }) }, 'clear'),
    parts.matched,
    parts.remove,
  ),
  parts.error,
  element('div', { class: 'scroll' }, element('table', {}, element('thead', {}, parts.head), parts.rows)),
);
show();
void live();
