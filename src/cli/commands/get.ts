// `-G`: one entry, by its tuple; or one expectation, by what it expects.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { KernelError } from '../../errors.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { expectationWriter, flowWriter } from '../flow-writer.js';
import type { OptionValues } from '../invocation.js';
import { originalTuple, replyTuple } from '../tuples.js';
import { countingVisitor } from './list.js';

/** @returns 0, or 1 when the entry that was found is not the one the other options describe */
export async function get(context: Context): Promise<number> {
  const { values, table } = context.invocation;
  try {
    return table === 'expect' ? getExpectation(context) : getFlow(context);
  } catch (error) {
    if (values.okIfNone && error instanceof KernelError && error.code === 'ENOENT') return 0;
    throw error;
  }
}

function getFlow(context: Context): number {
  const { invocation, out, labels } = context;
  const { values } = invocation;
  const writer = flowWriter(out, values.output, { labels });
  const counter = countingVisitor(context, writer);
  counter.visitor.beginBatch();
  // The frame is written once the kernel has answered: no half document beside an error.
  context.conntrack().get(flowKey(values), flowFilter(values, context.filterLabels), (view) => {
    writer.begin();
    counter.visitor.entry(view);
  });
  if (counter.count() === 0) writer.begin();
  writer.end();
  out.flush();
  context.close(`${counter.count()} flow entries have been shown.`);
  return counter.count() > 0 || values.okIfNone ? 0 : 1;
}

/** The tuple the options name: the original one when it is complete, else the reply. */
function flowKey(values: OptionValues) {
  const family = values.family ?? AF_INET;
  return values.src && values.dst
    ? { family, original: originalTuple(values), zone: values.zone }
    : { family, reply: replyTuple(values), zone: values.zone };
}

function getExpectation(context: Context): number {
  const { invocation, out } = context;
  const { values } = invocation;
  const writer = expectationWriter(out, values.output);
  const counter = countingVisitor(context, writer);
  counter.visitor.beginBatch();
  context.conntrack().getExpectation(values.family ?? AF_INET, originalTuple(values), (view) => {
    writer.begin();
    counter.visitor.entry(view);
  });
  writer.end();
  out.flush();
  return 0;
}
