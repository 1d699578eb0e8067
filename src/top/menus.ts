// The menus of `conntrack top`: what groups are by, and what lists are sorted by.

import type { GroupingName } from '../meter/index.js';
import { MenuOverlay } from './menu-overlay.js';
import type { CellContext, TableColumn } from './table-layout.js';

/** Groupings with their keys, and what they are. */
const GROUPINGS: readonly (readonly [key: string, by: GroupingName, text: string])[] = [
  ['s', 'src', 'source address'],
  ['d', 'dst', 'destination address'],
  ['c', 'pair', 'source and destination'],
  ['p', 'service', 'protocol and destination port'],
  ['r', 'protocol', 'protocol'],
  ['t', 'state', 'protocol and state'],
  ['f', 'family', 'IPv4 or IPv6'],
  ['z', 'zone', 'zone'],
  ['m', 'mark', 'mark'],
  ['l', 'label', 'labels'],
  ['h', 'helper', 'helper'],
  ['o', 'snat', 'outside address of translated sources'],
  ['i', 'dnat', 'real destination of translated ones'],
  ['n', 'netns', 'network namespace'],
];

/** Those behind the digits 1 to 9; the first is none. */
export const USUAL_GROUPINGS: readonly (GroupingName | undefined)[] = [
  undefined,
  'src',
  'dst',
  'pair',
  'service',
  'state',
  'src/24',
  'snat',
  'netns',
];

/** `chosen` gets `prefix` where a prefix length is to be asked for, and `undefined` for no groups. */
export function groupMenu(chosen: (by: GroupingName | 'prefix' | undefined) => void): MenuOverlay {
  const items = [
    ...GROUPINGS.map(([key, , text]) => ({ key, text })),
    { key: '/', text: 'source network, by prefix length' },
    { key: '0', text: 'no groups' },
  ];
  return new MenuOverlay('Group by', items, (key) =>
    chosen(key === '/' ? 'prefix' : GROUPINGS.find(([own]) => own === key)?.[1]),
  );
}

/** The orders that columns lead to. `chosen` gets the order. */
export function sortMenu(
  columns: readonly Pick<TableColumn<never>, 'key' | 'sort' | 'title'>[],
  context: CellContext,
  chosen: (sort: string | undefined) => void,
): MenuOverlay {
  const keyed = columns.filter(({ key, sort }) => key !== undefined && sort !== undefined);
  const items = [
    ...keyed.map((column) => ({ key: column.key!, text: column.title(context) })),
    { key: BOTH, text: 'both directions together' },
  ];
  return new MenuOverlay('Sort by', items, (key) =>
    chosen(key === BOTH ? 'average' : keyed.find((column) => column.key === key)?.sort),
  );
}

/** The key of the order by both directions, which no column shows. */
const BOTH = 'v';
