// What the page knows, as signals: whoever shows something follows the one it needs.

import { computed, effect, signal } from '@preact/signals';
import { ApiError } from './api.js';
import { view } from './page-view.js';
import type { PageDeletion, PageGroups, PageMinute, PageNamespace, PageSample, PageStatus } from './shapes.js';

export const status = signal<PageStatus | undefined>(undefined);
export const sample = signal<PageSample | undefined>(undefined);
export const groups = signal<PageGroups | undefined>(undefined);
/** The top list of a minute of the past, if one is looked at, or why there is none. */
export const minute = signal<PageMinute | { readonly problem: string } | undefined>(undefined);
/** When the newest sample was taken, in milliseconds of this clock. */
export const sampledAt = signal<number | undefined>(undefined);
/** Whether the server can be heard. */
export const link = signal<'connecting' | 'live' | 'away' | 'refused'>('connecting');
/** Since when the picture stands, in milliseconds of the clock. */
export const pausedAt = signal<number | undefined>(undefined);
/** The time, for what counts seconds. */
export const clock = signal(Date.now());
/** The last thing that happened, for everybody, and for those who hear the page. */
export const message = signal<{ readonly text: string; readonly bad?: boolean } | undefined>(undefined);
/** What is wrong with the filter that is applied. */
export const filterProblem = signal<string | undefined>(undefined);
/** What lies over the page. */
export const overlay = signal<
  | { readonly what: 'help' }
  | { readonly what: 'doctor' }
  | { readonly what: 'commands'; readonly filter: string }
  | { readonly what: 'delete'; readonly target: PageDeletion }
  | undefined
>(undefined);
/** The table of the gauge: that of the chosen namespace, or the fullest. */
export const shownTable = computed((): PageNamespace | undefined => {
  const all = sample.value?.namespaces ?? [];
  const fill = ({ entries, maxEntries }: PageNamespace) => (maxEntries ? entries / maxEntries : 0);
  return (
    all.find(({ name }) => name === view.value.netns) ??
    all.reduce<PageNamespace | undefined>((most, next) => (most && fill(most) >= fill(next) ? most : next), undefined)
  );
});

/** A number that needs counters: without accounting it will never be known. */
export function measured(value: number | null | undefined): number | null | undefined {
  return status.value?.accounting === 'off' ? null : (value ?? undefined);
}

export function tell(text: string, bad = false): void {
  message.value = { text, bad };
}

/** Says what went wrong. A server that does not answer is told by the stream. */
export function refused(error: unknown): void {
  if (error instanceof ApiError) {
    if (error.status === 401) link.value = 'refused';
    else tell(error.hint === undefined ? error.message : `${error.message}: ${error.hint}`, true);
  } else if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
}

/** Runs one at a time: what is wanted meanwhile runs once more afterwards. */
export function oneAtATime(run: () => Promise<void>): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = running;
    if (running) return;
    running = true;
    try {
      do {
        again = false;
        await run();
      } while (again);
    } finally {
      running = false;
    }
  };
}

/** `auto` follows the system. */
export const theme = signal<'auto' | 'light' | 'dark'>(readTheme());
/** Whether it is dark now. */
export const isDark = signal(false);
const STORED = 'conntrack-theme';

function readTheme(): 'auto' | 'light' | 'dark' {
  const stored = localStorage.getItem('conntrack-theme');
  return stored === 'light' || stored === 'dark' ? stored : 'auto';
}

export function followTheme(): void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    isDark.value = theme.value === 'dark' || (theme.value === 'auto' && system.matches);
    document.documentElement.dataset['theme'] = isDark.value ? 'dark' : 'light';
    localStorage.setItem(STORED, theme.value);
  };
  system.addEventListener('change', apply);
  effect(apply);
}
