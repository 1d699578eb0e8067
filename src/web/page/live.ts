// Follows the server: asks again whenever the stream says that there is news, and comes back when it breaks. A page that nobody sees
// closes its stream, as browsers have few connections for each server.

import { effect } from '@preact/signals';
import { ApiError, ask, follow } from './api.js';
import { deletionText } from './deletion-dialog.js';
import { refreshDiagnosis } from './doctor-dialog.js';
import { flows } from './flow-window.js';
import { GROUPS, groupingOf } from './groups-panel.js';
import { addSample, followHistory, loadHistory, takeMissed } from './history.js';
import { clock, groups, link, minute, oneAtATime, pausedAt, refused, sample, sampledAt, status, tell } from './page-state.js';
import { filterPart, minuteOf, view } from './page-view.js';
import type { DeletionCounts, PageGroups, PageMinute, PageSample, PageSeries, PageStatus } from './shapes.js';

/** Milliseconds between attempts to reach a server that has gone. */
const AGAIN = 2000;
/** Milliseconds after which a page that is not seen lets go. */
const UNSEEN = 10_000;
/** Milliseconds between looks at what is wrong: each lists the table. */
const DIAGNOSED = 300_000;
/** Seconds between samples from which on the rows on the screen are asked for in between. */
const RARE = 1.5;

const refreshStatus = oneAtATime(async () => {
  status.value = await ask<PageStatus>('status');
  sampledAt.value = Date.now() - status.value.age * 1000;
  document.title = `conntrack · ${status.value.host}`;
});

const refreshGroups = oneAtATime(async () => {
  const { by, groups: sort } = view.value;
  const [name, length] = groupingOf(by);
  try {
    groups.value = await ask<PageGroups>('groups', {
      ...filterPart(),
      by: length === '' ? name : `${name}/${length}`,
      sort: status.value?.accounting === 'off' && sort === 'average' ? 'flows' : sort,
      limit: String(GROUPS),
    });
  } catch (error) {
    // What is wrong with a filter, the flows say.
    if (!(error instanceof ApiError && error.code === 'FILTER')) refused(error);
    else groups.value = undefined;
  }
});

/** Who had most then. */
const refreshMinute = oneAtATime(async () => {
  const at = minuteOf.value;
  if (at === undefined) {
    minute.value = undefined;
    return;
  }
  const { by, groups: sort } = view.value;
  const [name, length] = groupingOf(by);
  try {
    const sorted = status.value?.accounting === 'off' && sort === 'average' ? 'flows' : sort;
    const wanted = length === '' ? name : `${name}/${length}`;
    minute.value = await ask<PageMinute>('groups', { at: String(at), by: wanted, sort: sorted, limit: String(GROUPS) });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 401) refused(error);
    else minute.value = { problem: error.hint === undefined ? error.message : `${error.message}: ${error.hint}` };
  }
});

const isWatched = () => pausedAt.value === undefined && document.visibilityState === 'visible';

/** The number of the newest sample; undefined: the stream has just begun. */
let sampledNumber: number | undefined;

function hear(type: string, data: unknown): void {
  link.value = 'live';
  if (type === 'sample') {
    const now = data as PageSample;
    if (pausedAt.value === undefined) sample.value = now;
    // The first of a stream may be an older one: the status said how old.
    if (sampledNumber !== undefined && now.number > sampledNumber) sampledAt.value = Date.now();
    sampledNumber = now.number;
    addSample(now);
    if (isWatched()) {
      void flows.refresh();
      void refreshGroups();
    }
  } else if (type === 'counts') {
    if (isWatched() && (sample.value?.seconds ?? 0) > RARE) void flows.refresh();
  } else if (type === 'status') status.value = { ...status.value!, ...(data as Partial<PageStatus>) };
  else if (type === 'deletion') tell(deletionText(data as DeletionCounts));
  else if (type === 'series') takeMissed(data as PageSeries);
  else if (type === 'reset') void loadHistory();
}

/** Settles when the page can be seen. */
async function seen(): Promise<void> {
  while (document.visibilityState !== 'visible')
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

export async function live(): Promise<void> {
  followHistory();
  setInterval(() => {
    clock.value = Date.now();
  }, 1000);
  effect(() => {
    pausedAt.value;
    clock.value = Date.now();
    if (pausedAt.value === undefined && link.peek() === 'live') {
      void flows.refresh();
      void loadHistory();
    }
  });
  let query = '';
  effect(() => {
    const now = JSON.stringify([view.value.by, view.value.groups, filterPart(), status.value?.accounting]);
    if (now === query || !status.value) return;
    query = now;
    void refreshGroups();
  });
  let asked = '';
  effect(() => {
    const now = JSON.stringify([minuteOf.value, view.value.by, view.value.groups, status.value?.accounting]);
    if (now === asked || !status.value) return;
    asked = now;
    void refreshMinute();
  });
  setInterval(() => {
    if (isWatched()) void refreshDiagnosis();
  }, DIAGNOSED);
  let isDiagnosed = false;
  let stream = new AbortController();
  let timer: number | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.visibilityState !== 'visible') timer = setTimeout(() => stream.abort(), UNSEEN) as unknown as number;
    else void flows.refresh();
  });
  for (;;) {
    await seen();
    stream = new AbortController();
    try {
      await refreshStatus();
      sampledNumber = undefined;
      if (!isDiagnosed) void refreshDiagnosis();
      isDiagnosed = true;
      await follow(hear, stream.signal);
    } catch (error) {
      refused(error);
    }
    if ((link.value as string) === 'refused') return;
    if (stream.signal.aborted) continue;
    link.value = 'away';
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
