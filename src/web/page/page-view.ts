// What somebody looks at. It is in the address behind #, so that a link is a view; the token never is.

import { computed, signal } from '@preact/signals';

/** A part of the view: its values, the default first; no values: any text. */
const PARTS = {
  filter: [],
  netns: [],
  by: ['src'],
  groups: ['average', 'flows', 'unreplied'],
  sort: ['average'],
  reverse: ['', '1'],
  chart: ['rate', 'flows', 'begun'],
  range: ['600', '7200', '86400'],
  at: [],
  unit: ['bits', 'bytes'],
  rates: ['average', 'rate'],
  ended: ['', 'off'],
  flow: [],
  columns: [],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Part = keyof typeof PARTS;
export type PageView = Readonly<Record<Part, string>>;

/** What `by` and `sort` can be is known to others, who forget what they do not know. */
const OPEN: readonly Part[] = ['by', 'sort'];

function readView(): PageView {
  const values = new URLSearchParams(location.hash.slice(1));
  const entries = Object.entries(PARTS).map(([part, words]: [string, readonly string[]]) => {
    const value = values.get(part) ?? '';
    const known = words.length === 0 || OPEN.includes(part as Part) || words.includes(value);
    return [part, value !== '' && known ? value : (words[0] ?? '')];
  });
  return Object.fromEntries(entries) as PageView;
}

export const view = signal<PageView>(readView());
/** What flows are asked for: changes only with the filter, the namespace and the order. */
export const queryOf = computed(() => {
  const { sort, reverse } = view.value;
  return new URLSearchParams({
    ...filterPart(),
    sort,
    ...(reverse === '' ? {} : { reverse }),
  }).toString();
});
export const filterOf = computed(() => view.value.filter);

/** Which flows, as a question has it: those that match, if there is a filter, of the namespace, if one is chosen. */
export function filterPart(): Readonly<Record<string, string>> {
  const { filter, netns } = view.value;
  return { ...(filter === '' ? {} : { filter }), ...(netns === '' ? {} : { netns }) };
}

/** Looks at something else. What takes one somewhere else can be taken back by the browser. */
export function look(change: Partial<PageView>): void {
  const isStep = (['filter', 'netns'] as const).some((part) => (change[part] ?? view.value[part]) !== view.value[part]);
  view.value = { ...view.value, ...change };
  const parts = Object.entries(view.value).filter(
    ([part, value]) => value !== ((PARTS as Readonly<Record<string, readonly string[]>>)[part]?.[0] ?? ''),
  );
  const address = `${location.pathname}${location.search}${parts.length === 0 ? '' : `#${new URLSearchParams(parts)}`}`;
  if (isStep) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}

/** The minute of the past that the top list is of, in seconds since the epoch; undefined: now. */
export const minuteOf = computed(() => (/^\d{1,11}$/.test(view.value.at) ? Number(view.value.at) : undefined));

/** Adds a filter to that of the view. */
export function narrow(filter: string): void {
  const { filter: old } = view.value;
  look({ filter: old === '' ? filter : `(${old}) and (${filter})` });
}

export function followAddress(): void {
  window.addEventListener('popstate', () => {
    view.value = readView();
  });
}
