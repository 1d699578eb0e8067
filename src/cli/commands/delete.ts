// `-D`: every flow the filters want; or one expectation.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { originalTuple } from '../tuples.js';
import { changeFlows } from './change.js';
import { withConntrack } from './create.js';

export async function deleteEntries(context: Context): Promise<number> {
  const { table, values } = context.invocation;
  if (table === 'expect') {
    withConntrack((conntrack) => conntrack.deleteExpectation(values.family ?? AF_INET, originalTuple(values)));
    context.err(`${CLOSING_PREFIX}1 expectations have been deleted.`);
    return 0;
  }
  return changeFlows(context, {
    done: 'deleted',
    verb: 'delete',
    filter: flowFilter(values, context.filterLabels),
    run: (conntrack, filter, each, beginBatch) => conntrack.delete(filter, each, beginBatch),
  });
}
