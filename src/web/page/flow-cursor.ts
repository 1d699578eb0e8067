// The cursor among the flows, which stays with its flow, and the flows that are selected.

import { computed, signal } from '@preact/signals';
import { endpoint } from './flow-parts.js';
import { flows } from './flow-window.js';
import type { PageFlow } from './shapes.js';

/** Where it is; the key as long as the flow there is known. -1: nobody has moved it. */
export const cursor = signal<{ readonly index: number; readonly key?: string | undefined }>({ index: -1 });
/** By their keys, as they were when they were selected. */
export const selection = signal<ReadonlyMap<string, PageFlow>>(new Map());
/** Bytes per second of those that are selected. */
export const selectedRate = computed(() =>
  [...selection.value.values()].reduce((sum, { average }) => sum + (average ? average.original + average.reply : 0), 0),
);

export function moveTo(index: number): void {
  const last = flows.total - 1;
  const to = Math.max(0, Math.min(index, last));
  cursor.value = last < 0 ? { index: -1 } : { index: to, key: flows.at(to)?.key };
}

export function moveBy(rows: number): void {
  moveTo(cursor.value.index < 0 ? 0 : cursor.value.index + rows);
}

/** Rows have changed: the cursor goes with its flow, and what is selected has newer numbers. */
export function followFlows(): void {
  const { index, key } = cursor.value;
  const now = key === undefined ? undefined : flows.indexOf(key);
  if (now !== undefined && now !== index) cursor.value = { index: now, key };
  else if (key === undefined && index >= 0) {
    const flow = flows.at(index);
    if (flow) cursor.value = { index, key: flow.key };
  }
  if (selection.value.size === 0) return;
  const newer = new Map(selection.value);
  for (const selected of newer.keys()) {
    const at = flows.indexOf(selected);
    if (at !== undefined) newer.set(selected, flows.at(at)!);
  }
  selection.value = newer;
}

export function currentFlow(): PageFlow | undefined {
  return cursor.value.index < 0 ? undefined : flows.at(cursor.value.index);
}

export function toggle(flow: PageFlow | undefined): void {
  if (!flow) return;
  const newer = new Map(selection.value);
  if (!newer.delete(flow.key)) newer.set(flow.key, flow);
  selection.value = newer;
}

export function selectNone(): void {
  selection.value = new Map();
}

/** What is copied of a flow, by the letter that asks for it. */
export const COPIED: Readonly<Record<string, (flow: PageFlow) => string>> = {
  s: ({ flow: { original } }) => original.src ?? '',
  d: ({ flow: { original } }) => original.dst ?? '',
  i: ({ flow: { id } }) => String(id ?? ''),
  l: ({ flow: { protocol, original } }) =>
    `${protocol} ${endpoint(original.src, original.sport)} ${endpoint(original.dst, original.dport)}`,
};
