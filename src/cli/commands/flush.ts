// `-F`: the whole table, or one family of it; or all expectations.

import type { FlowFilter } from '../../ctnetlink/filter.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { notThisSsh } from '../ssh.js';
import { UsageError } from '../usage-error.js';

export async function flush(context: Context): Promise<number> {
  const { table, values } = context.invocation;
  const { family, dryRun, max, protectSsh } = values;
  const conntrack = context.conntrack();
  // Said by a load file too, which says nothing else.
  const tell = (text: string) => context.err(CLOSING_PREFIX + text);
  if (table === 'expect') {
    conntrack.flushExpectations();
    tell('expectation table has been emptied.');
    return 0;
  }
  const of: FlowFilter[] = family === undefined ? [] : [{ kind: 'family', family }];
  if (protectSsh) of.push(notThisSsh());
  const filter: FlowFilter = { kind: 'all', of };
  if (dryRun || max !== undefined) {
    let count = 0;
    await conntrack.scan(filter, { entry: () => count++ });
    if (max !== undefined && count > max)
      throw new UsageError(`${count} flow entries would be flushed, but --max allows ${max}; nothing was changed`, {
        exitStatus: 1,
        hint: 'look with --dry-run, or raise --max',
      });
    if (dryRun) {
      tell(`connection tracking table would be emptied: ${count} flow entries.`);
      return 0;
    }
  }
  if (protectSsh) await conntrack.delete(filter, () => {});
  else await conntrack.flush(family);
  tell('connection tracking table has been emptied.');
  return 0;
}
