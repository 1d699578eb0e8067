// `-D`: every flow the filters want; or one expectation.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { KernelError } from '../../errors.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { originalTuple } from '../tuples.js';
import { changeFlows } from './change.js';

export async function deleteEntries(context: Context): Promise<number> {
  const { table, values } = context.invocation;
  if (table === 'expect') return deleteExpectation(context);
  return changeFlows(context, {
    done: 'deleted',
    verb: 'delete',
    filter: flowFilter(values, context.filterLabels),
    run: (filter, each, beginBatch) => context.conntrack().delete(filter, each, beginBatch),
  });
}

function deleteExpectation(context: Context): number {
  const { values } = context.invocation;
  try {
    context.conntrack().deleteExpectation(values.family ?? AF_INET, originalTuple(values));
  } catch (error) {
    if (!(values.okIfNone && error instanceof KernelError && error.code === 'ENOENT')) throw error;
    context.close('0 expectations have been deleted.');
    return 0;
  }
  context.close('1 expectations have been deleted.');
  return 0;
}
