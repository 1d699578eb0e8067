// Explains an empty table to somebody at a terminal: often nothing is tracked there, because no rule uses connection tracking.

import { type ConntrackTable, isTracking } from '../library/index.js';

/** Lines for standard error about a table that has no entries. @throws SystemError, DecodeError */
export async function aboutEmptyTable(table: ConntrackTable): Promise<readonly string[]> {
  const tracking = await isTracking(table);
  if (tracking) return [];
  return [
    tracking === false
      ? 'conntrack: nothing is tracked here: no rule of this network namespace uses connection tracking'
      : 'conntrack: the table is empty: either nothing connects, or no rule of this network namespace uses connection tracking',
    '  hint: a firewall or NAT rule starts it, such as one with "ct state"; conntrack help shows what else there is',
  ];
}
