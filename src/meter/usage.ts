// usage: who has how much of a table, from one list, without keeping anything: for scripts that run now and then. With a time, a meter
// looks on for that long, and there are rates.

import { S } from '../ctnetlink/fields.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { readFilter, type Signal, sessionOf } from '../library/index.js';
import { FlowColumns, READ, UNREPLIED } from './flow-columns.js';
import { rankGroups, totalsOf } from './flow-groups.js';
import { GroupIndex } from './group-index.js';
import { KEY_WORDS, parseGrouping } from './group-keys.js';
import { GroupSums } from './group-sums.js';
import { checkLabels, checkNumber, type GroupsAnswer, type GroupsQuery, readGroupsQuery } from './meter-query.js';
import type { NamespaceSample } from './meter-sample.js';
import { counterOf } from './metered-table.js';
import { type Namespaces, namespacesOf, openMeter } from './open-meter.js';
import { divideFilter } from './scope.js';

/** What one wants to know. Default of `by`: `src`; of `sort`: `flows`, with `over` `average`. */
export interface UsageOptions extends Partial<GroupsQuery> {
  /** Milliseconds to look on, at least 500; the groups have rates then. Default: one list, no rates. */
  readonly over?: number | undefined;
  /** Names of labels, for `by: 'label'`. */
  readonly labels?: LabelMap | undefined;
  readonly signal?: Signal | undefined;
}

/** Who has how much. */
export interface Usage extends Omit<GroupsAnswer, 'sample' | 'at' | 'total'> {
  /** How full each table is. */
  readonly namespaces: readonly Pick<NamespaceSample, 'name' | 'entries' | 'maxEntries'>[];
}

const LEAST_OVER = 500;

/**
 * The largest groups of flows of one namespace, or of several.
 *
 * ```ts
 * const { groups, other } = await usage(conntrack, { by: 'src/24', limit: 10 });
 * ```
 *
 * @throws ValueError, FilterError, KernelError, SystemError, ClosedError, the signal's reason
 */
export async function usage(conntrack: Namespaces, options: UsageOptions = {}): Promise<Usage> {
  const { over, labels, signal, by = 'src', sort = over === undefined ? 'flows' : 'average', ...rest } = options;
  const query = readGroupsQuery({ by, sort, ...rest });
  if (over !== undefined) checkNumber('over', over, LEAST_OVER, 2 ** 31 - 1);
  checkLabels(labels);
  return over === undefined
    ? listUsage(conntrack, query, { labels, signal })
    : meteredUsage(conntrack, query, over, { labels, signal });
}

async function meteredUsage(
  conntrack: Namespaces,
  query: ReturnType<typeof readGroupsQuery>,
  interval: number,
  options: Pick<UsageOptions, 'labels' | 'signal'>,
): Promise<Usage> {
  const { scope, rest } = divideFilter(query.filter ?? {});
  await using meter = await openMeter(conntrack, { ...options, filter: scope, interval, share: 1 });
  // Kept from the first list on, so that the second makes rates.
  await meter.groups({ by: query.by, limit: 0 });
  const wanted = namespacesOf(conntrack).length;
  // Each namespace is listed once more.
  for await (const { number } of meter) if (number > wanted) break;
  const { groups, count, other, totals, matched, offset } = await meter.groups({ ...query, filter: rest });
  const namespaces = meter.sample.namespaces.map(({ name, entries, maxEntries }) => named(name, { entries, maxEntries }));
  return { namespaces, matched, totals, offset, groups, count, other };
}

async function listUsage(
  conntrack: Namespaces,
  { by, filter, ...part }: ReturnType<typeof readGroupsQuery>,
  { labels, signal }: Pick<UsageOptions, 'labels' | 'signal'>,
): Promise<Usage> {
  const grouping = parseGrouping(by);
  const wanted = readFilter(filter ?? {});
  const index = new GroupIndex(grouping);
  const sums = new GroupSums(index.capacity);
  const totals = new GroupSums(1);
  const key = new Int32Array(KEY_WORDS);
  const row = new Row();
  const namespaces: Usage['namespaces'][number][] = [];
  const tables = namespacesOf(conntrack);
  for (const [number, [name, one]] of tables.entries()) {
    const session = sessionOf(one);
    const entry = (view: View) => {
      grouping.read(view, number, key);
      const group = index.numberOf(key);
      if (index.capacity > sums.flows.length) sums.grow(index.capacity);
      row.read(view);
      sums.add(group, row.columns, row.slot);
      totals.add(0, row.columns, row.slot);
    };
    await session.run({ signal }, async () => {
      namespaces.push(named(name, session.table.count()));
      await session.table.scan(wanted, { entry, ...session.patience({ signal }) }, { background: true });
    });
  }
  const keys = { grouping, keyOf: (group: number) => index.keyOf(group) };
  const store = { names: { tables: tables.map(([name]) => name), labels } };
  const { offset, groups, count, other } = rankGroups(store, sums, keys, undefined, part);
  return { namespaces, matched: totals.flows[0]!, offset, totals: totalsOf(totals), groups, count, other };
}

function named(
  name: string,
  { entries, maxEntries }: { readonly entries: number; readonly maxEntries?: number | undefined },
): Usage['namespaces'][number] {
  return { name, entries, ...(maxEntries === undefined ? {} : { maxEntries }) };
}

/** Columns for one flow at a time. */
class Row {
  readonly columns = new FlowColumns();
  readonly slot = this.columns.allocate(1, 0);

  read(view: View): void {
    const { columns, slot } = this;
    const counted = view.has(S.bytesOriginal);
    columns.flags[slot] = (counted ? READ : 0) | ((view.be32(S.status) & IPS_SEEN_REPLY) === 0 ? UNREPLIED : 0);
    if (!counted) return;
    columns.bytesOriginal[slot] = counterOf(view, S.bytesOriginal);
    columns.bytesReply[slot] = counterOf(view, S.bytesReply);
    columns.packetsOriginal[slot] = counterOf(view, S.packetsOriginal);
    columns.packetsReply[slot] = counterOf(view, S.packetsReply);
  }
}
