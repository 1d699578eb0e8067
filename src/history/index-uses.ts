// Which indexes of a sealed segment find the rows that a filter wants.

import { withoutNames } from '../ctnetlink/filter/address-ranges.js';
import type { FlowCondition, TupleEnd } from '../ctnetlink/filter/condition.js';
import type { NormalFilter } from '../ctnetlink/filter/normal.js';
import type { AddressSet, Ranges } from '../ctnetlink/filter/sets.js';
import type { SqliteValue } from './driver/sqlite.js';
import { inRanges } from './filter-condition.js';
import { addressRanges, addressValue, between, both, type SqlCondition } from './sql-condition.js';

/** A condition that an index answers. */
export interface IndexUse extends SqlCondition {
  readonly index: string;
  /** The one value of each column of the index that it asks for; absent if it asks for ranges, or not for all. */
  readonly only?: readonly SqliteValue[] | undefined;
}

/** Look-ups in an index that are better than looking at all rows. */
const MOST_USES = 64;

/** Every wanted row is in one of these. */
export function usesOf(filter: NormalFilter): readonly IndexUse[] | undefined {
  switch (filter.kind) {
    case 'leaf':
      return filter.wanted ? usesOfLeaf(filter.condition) : undefined;
    case 'any': {
      const parts = filter.of.map(usesOf);
      if (parts.some((part) => part === undefined)) return undefined;
      const uses = (parts as (readonly IndexUse[])[]).flat();
      return uses.length > MOST_USES ? undefined : uses;
    }
    case 'all':
      return usesOfAll(filter.of);
  }
}

/** The part with the fewest look-ups; addresses together with their ports. */
function usesOfAll(parts: readonly NormalFilter[]): readonly IndexUse[] | undefined {
  const leaves = parts.flatMap((part) => (part.kind === 'leaf' && part.wanted ? [part.condition] : []));
  const required = (index: string) =>
    index === 'flow_dnat' ? leaves.some((leaf) => leaf.kind === 'nat' && leaf.nat === 'dst') : true;
  const candidates = parts.map(usesOf).filter((uses) => uses !== undefined);
  const paired = leaves.flatMap((leaf): readonly (readonly IndexUse[])[] => {
    if (leaf.kind !== 'address' || leaf.ends.length !== 1) return [];
    const [{ side, end }] = leaf.ends as [TupleEnd];
    const row = PAIRED.find((pair) => pair.side === side && pair.end === end);
    if (!row || !required(row.index)) return [];
    const addresses = lookups(row.column, leaf.set);
    if (!addresses) return [];
    const ports = leaves.find(
      (other): other is Extract<FlowCondition, { kind: 'port' }> =>
        other.kind === 'port' && other.ends.length === 1 && other.ends[0]!.side === side && other.ends[0]!.end === end,
    );
    const narrower = ports && ports.ranges.length === 2 ? inRanges(row.port, ports.ranges, true) : undefined;
    return [
      addresses.map((use) => ({
        ...(both(use, narrower) as SqlCondition),
        index: row.index,
        only:
          use.values.length === 1 && narrower?.values.length === 1 && isOne(ports!.ranges)
            ? [...use.values, ...narrower.values]
            : undefined,
      })),
    ];
  });
  const [best] = [...paired, ...candidates].sort((a, b) => a.length - b.length);
  return best;
}

function isOne([from, to]: Ranges): boolean {
  return from === to;
}

/** Indexes that begin with an address, whose port follows. A partial one needs what it is limited to. */
const PAIRED = [
  { index: 'flow_ext', side: 'reply', end: 'dst', column: 'ext', port: 'eport' },
  { index: 'flow_dnat', side: 'original', end: 'dst', column: 'rsrc IS NOT NULL AND dst', port: 'dport' },
] as const;

function usesOfLeaf(c: FlowCondition): readonly IndexUse[] | undefined {
  const use = (index: string, column: string, set: AddressSet) =>
    lookups(column, set)?.map((each) => ({
      ...each,
      index,
      only: index !== 'flow_ext' && each.values.length === 1 ? each.values : undefined,
    }));
  switch (c.kind) {
    case 'address': {
      if (c.ends.length !== 1) return undefined;
      const [{ side, end }] = c.ends as [TupleEnd];
      if (side === 'original' && end === 'src') return use('flow_src', 'src', c.set);
      return side === 'reply' && end === 'dst' ? use('flow_ext', 'ext', c.set) : undefined;
    }
    case 'natTo':
      if (!c.set) return undefined;
      return c.nat === 'src' ? use('flow_ext', 'ext', c.set) : use('flow_in', 'rsrc', c.set);
    default:
      return undefined;
  }
}

/** A look-up for each range of a set; `undefined` if there are too many. */
function lookups(column: string, named: AddressSet): readonly SqlCondition[] | undefined {
  const set = withoutNames(named);
  if (set.masked.length > 0) return undefined;
  const ranges = [
    ...addressRanges(set),
    ...set.sockets.map(({ address }) => [addressValue(address), addressValue(address)] as const),
  ];
  return ranges.length > MOST_USES ? undefined : ranges.map(([from, to]) => between(column, from, to));
}
