// The text of `conntrack usage`: how full the table is, and a table of groups.

import type { Usage } from '../meter/index.js';
import { groupColumns } from './group-cells.js';
import { printTable } from './printed-table.js';
import { count, percent } from './units.js';

/** How full the fullest table is, from 0 to 1; `undefined` if the kernel does not say. */
export function fillOf({ namespaces }: Pick<Usage, 'namespaces'>): number | undefined {
  const fills = namespaces.map(({ entries, maxEntries }) => (maxEntries ? entries / maxEntries : undefined));
  return fills.reduce((most, fill) => (most === undefined || (fill ?? 0) > most ? fill : most), undefined);
}

/** Lines of text; a table of fixed columns. */
export function usageText(usage: Usage, by: string, ascii: boolean): string {
  const { namespaces, groups, other, matched, count: all } = usage;
  const rated = groups.some(({ rate }) => rate !== undefined);
  const left = new Set(['history', 'begun', ...(rated ? [] : ['rate-original', 'rate-reply', 'packets'])]);
  const lines = namespaces.map(({ name, entries, maxEntries }) => {
    const where = namespaces.length > 1 ? `${name}: ` : '';
    return `${where}${count(entries)}${maxEntries === undefined ? '' : ` of ${count(maxEntries)}`} entries in use${maxEntries ? ` (${percent(entries, maxEntries)})` : ''}`;
  });
  const rest = other.groups > 0 ? [{ ...other, key: `(${count(other.groups)} more)` }] : [];
  const rows = [...groups, ...rest].map((group) => ({ group, all: matched }));
  const columns = groupColumns(by).filter(({ name }) => !left.has(name));
  lines.push(...(all === 0 ? ['no flow matches'] : printTable(columns, rows, ascii)));
  return `${lines.join('\n')}\n`;
}
