// `-F`: the whole table, or one family of it; or all expectations.

import { Conntrack } from '../../library/conntrack.js';
import { CLOSING_PREFIX, type Context } from '../context.js';

export async function flush(context: Context): Promise<number> {
  const { table, values } = context.invocation;
  const conntrack = Conntrack.open();
  try {
    if (table === 'expect') conntrack.flushExpectations();
    else await conntrack.flush(values.family);
  } finally {
    conntrack.close();
  }
  context.err(`${CLOSING_PREFIX}${table === 'expect' ? 'expectation' : 'connection tracking'} table has been emptied.`);
  return 0;
}
