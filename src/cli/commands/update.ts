// `-U`: new values for every flow that matches.

import { changesFlow } from '../../ctnetlink/flow-change.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { flowChange, updateFilterValues } from '../given-flow.js';
import { changeFlows } from './change.js';

/** @returns as `changeFlows` */
export async function update(context: Context): Promise<number> {
  const { values, labelBits, textFilter } = context.invocation;
  const change = flowChange(values, labelBits);
  return changeFlows(context, {
    done: 'updated',
    verb: 'add',
    labels: context.labels,
    filter: flowFilter(updateFilterValues(values), context.filterLabels, textFilter),
    concerns: (view) => changesFlow(view, change),
    run: (conntrack, filter, each, beginBatch) => conntrack.update(filter, change, each, { beginBatch }),
  });
}
