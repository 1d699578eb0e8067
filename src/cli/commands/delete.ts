// `-D`: every flow that matches; or one expectation.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { isMissing } from '../../errors.js';
import { safeJson } from '../../safe-text.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { isJson } from '../invocation.js';
import { originalTuple } from '../tuples.js';
import { changeFlows } from './change.js';
import { inAnyTable } from './get.js';

/** @returns as `changeFlows`; of an expectation 0, or 1 when one of several namespaces failed */
export async function deleteEntries(context: Context): Promise<number> {
  const { table, values, textFilter } = context.invocation;
  if (table === 'expect') return deleteExpectation(context);
  return changeFlows(context, {
    done: 'deleted',
    verb: 'delete',
    filter: flowFilter(values, context.filterLabels, textFilter),
    run: (conntrack, filter, each, beginBatch) => conntrack.delete(filter, each, { beginBatch }),
  });
}

async function deleteExpectation(context: Context): Promise<number> {
  const { values } = context.invocation;
  let deleted = 0;
  let complete = true;
  try {
    complete = await inAnyTable(context.tables, (table) => {
      table.conntrack().deleteExpectation(values.family ?? AF_INET, originalTuple(values));
      deleted++;
    });
  } catch (error) {
    if (!(values.okIfNone && isMissing(error))) throw error;
  }
  if (isJson(values.output)) {
    context.out.text(`${safeJson({ matched: deleted, deleted, alreadyGone: 0, failed: 0 })}\n`);
    context.out.flush();
  }
  context.close(`${deleted} expectations have been deleted.`);
  return complete ? 0 : 1;
}
