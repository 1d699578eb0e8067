// The text of `conntrack usage`: how full the table is, and a table of groups.

import type { Usage } from '../meter/index.js';
import { safeText } from '../safe-text.js';
import { count, percent } from '../units.js';
import { groupColumns } from './group-cells.js';
import { printTable } from './printed-table.js';

/** How full the fullest table is, from 0 to 1; `undefined` if the kernel does not say. */
export function fillOf({ namespaces }: Pick<Usage, 'namespaces'>): number | undefined {
  const fills = namespaces.map(({ entries, maxEntries }) => (maxEntries ? entries / maxEntries : undefined));
  return fills.reduce((most, fill) => (most === undefined || (fill ?? 0) > most ? fill : most), undefined);
}

/** From which percentages of a table on something is wrong. */
export interface UsageLimits {
  readonly failAbove: number | undefined;
  readonly criticalAbove: number | undefined;
}

/** Lines of text: each table, the fullest first; then the groups, in fixed columns. With limits, numbers for monitoring in the first line. */
export function usageText(usage: Usage, by: string, limits: UsageLimits, ascii: boolean): string {
  const { groups, other, matched, count: all } = usage;
  const fill = ({ entries, maxEntries }: Usage['namespaces'][number]) => (maxEntries ? entries / maxEntries : 0);
  const namespaces = [...usage.namespaces].sort((a, b) => fill(b) - fill(a));
  const rated = groups.some(({ rate }) => rate !== undefined);
  const kept = groups.some(({ counted }) => counted !== undefined);
  const left = new Set([
    'history',
    ...(kept ? [] : ['begun', 'ended-unreplied']),
    ...(rated ? [] : ['rate-original', 'rate-reply', 'packets']),
  ]);
  const lines = namespaces.map(({ name, entries, maxEntries }) => {
    const where = namespaces.length > 1 ? `${safeText(name)}: ` : '';
    return `${where}${count(entries)}${maxEntries === undefined ? '' : ` of ${count(maxEntries)}`} entries in use${maxEntries ? ` (${percent(entries, maxEntries)})` : ''}`;
  });
  const { failAbove, criticalAbove } = limits;
  if (failAbove !== undefined || criticalAbove !== undefined) lines[0] += ` | ${performanceData(namespaces, limits)}`;
  const rest = other.groups > 0 ? [{ ...other, key: `(${count(other.groups)} more)` }] : [];
  const rows = [...groups, ...rest].map((group) => ({ group, all: matched }));
  const columns = groupColumns(by).filter(({ name }) => !left.has(name));
  lines.push(...(all === 0 ? ['no flow matches'] : printTable(columns, rows, ascii)));
  return `${lines.join('\n')}\n`;
}

/** As Nagios reads it: `entries=131204;209715;249036;0;262144`, with the limits and the most there can be; by name if there are several. */
function performanceData(namespaces: Usage['namespaces'], { failAbove, criticalAbove }: UsageLimits): string {
  return namespaces
    .map(({ name, entries, maxEntries }) => {
      const label = namespaces.length > 1 ? `'${safeText(name).replace(/['=|]/g, '_')}'` : 'entries';
      const limit = (above: number | undefined) =>
        above === undefined || maxEntries === undefined ? '' : Math.floor((above / 100) * maxEntries);
      return `${label}=${entries};${limit(failAbove)};${limit(criticalAbove)};0;${maxEntries ?? ''}`;
    })
    .join(' ');
}
