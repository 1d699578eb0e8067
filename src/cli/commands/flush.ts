// `-F`: the whole table, or one family of it; or all expectations.

import type { FlowFilter } from '../../ctnetlink/filter/condition.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { notThisSsh } from '../ssh.js';
import type { NamespaceTable } from '../tables.js';
import { UsageError } from '../usage-error.js';
import { notCounted } from './change.js';

/** @returns 0, or 1 when one of several namespaces failed */
export async function flush(context: Context): Promise<number> {
  const { invocation, tables } = context;
  const { family, dryRun, max, protectSsh } = invocation.values;
  // Load files print this line, too, and no other.
  const tell = ({ netns }: NamespaceTable, text: string) =>
    context.err(`${CLOSING_PREFIX}${netns === undefined ? '' : `netns ${netns}: `}${text}`);
  const done = (complete: boolean) => (complete ? 0 : 1);
  if (invocation.table === 'expect')
    return done(
      await tables.each((table) => {
        table.conntrack().flushExpectations();
        tell(table, 'expectation table has been emptied.');
      }),
    );
  const of: FlowFilter[] = family === undefined ? [] : [{ kind: 'family', family }];
  if (protectSsh) of.push(notThisSsh());
  const filter: FlowFilter = { kind: 'all', of };
  if (dryRun || max !== undefined) {
    const counts: [NamespaceTable, number][] = [];
    const complete = await tables.each(async (table) => {
      let count = 0;
      await table.conntrack().scan(filter, { entry: () => count++ });
      counts.push([table, count]);
    });
    const sum = counts.reduce((before, [, count]) => before + count, 0);
    if (max !== undefined && sum > max)
      throw new UsageError(`${sum} flow entries would be flushed, but --max allows ${max}; nothing was changed`, {
        exitStatus: 1,
        hint: 'look with --dry-run, or raise --max',
      });
    if (dryRun) {
      for (const [table, count] of counts) tell(table, `connection tracking table would be emptied: ${count} flow entries.`);
      return done(complete);
    }
    if (!complete) throw notCounted();
  }
  return done(
    await tables.each(async (table) => {
      const conntrack = table.conntrack();
      if (protectSsh) await conntrack.delete(filter, () => {});
      else await conntrack.flush(family);
      tell(table, 'connection tracking table has been emptied.');
    }),
  );
}
