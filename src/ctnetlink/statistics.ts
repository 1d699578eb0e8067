// Statistics messages: one per CPU, counters by attribute number. Source: docs/kernel.md 3.11; printed names: docs/behaviour.md 5.9.

import { compilePolicy } from './policy.js';
import type { Field, Fields } from './schema.js';
import { View } from './view.js';

/** Names by attribute number - 1, as `conntrack -S` prints them. The last four have no meaning yet. */
export const CPU_STATISTICS = [
  'searched',
  'found',
  'new',
  'invalid',
  'ignore',
  'delete',
  'delete_list',
  'insert',
  'insert_failed',
  'drop',
  'early_drop',
  'error',
  'search_restart',
  'clash_resolve',
  'chaintoolong',
  'unknown1',
  'unknown2',
  'unknown3',
  'unknown4',
] as const;

/** As CPU_STATISTICS, for `conntrack -S expect`. */
export const EXPECTATION_STATISTICS = ['expect_new', 'expect_create', 'expect_delete'] as const;

/** Members of the answer to GET_STATS: how many entries there are, and how many there may be in this namespace. */
export const GLOBAL_STATISTICS = ['entries', 'maxEntries'] as const;

/** A view whose slot n is attribute n + 1, for one of the lists above. The CPU is `view.resourceId`. */
export function createStatisticsView(names: readonly string[]): View {
  const fields: Fields = Object.fromEntries(
    names.map((name, i): [string, Field] => [name, { path: [i + 1], kind: 'be32', doc: `Counter ${name}.` }]),
  );
  return new View(compilePolicy([], fields));
}

/** `insert_failed` → `insertFailed`: what a counter is called in objects and in JSON. */
export function statisticMember(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
