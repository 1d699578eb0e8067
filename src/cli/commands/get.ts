// `-G`: one entry, by its tuple; or one expectation, by what it expects.

import type { TupleSpec } from '../../ctnetlink/encode.js';
import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { Conntrack } from '../../library/conntrack.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { expectationWriter, flowWriter } from '../flow-writer.js';
import type { OptionValues } from '../invocation.js';
import { originalTuple, replyTuple } from '../tuples.js';
import { countingVisitor } from './list.js';

/** @returns 0, or 1 when the entry that was found is not the one the other options describe */
export async function get(context: Context): Promise<number> {
  return context.invocation.table === 'expect' ? getExpectation(context) : getFlow(context);
}

function getFlow(context: Context): number {
  const { invocation, out, labels } = context;
  const { values } = invocation;
  const writer = flowWriter(out, values.output, { labels });
  const counter = countingVisitor(context, writer);
  const conntrack = Conntrack.open();
  try {
    counter.visitor.beginBatch();
    // The frame is written once the kernel has answered: no half document beside an error.
    conntrack.get(flowKey(values), flowFilter(values, context.filterLabels), (view) => {
      writer.begin();
      counter.visitor.entry(view);
    });
    if (counter.count() === 0) writer.begin();
    writer.end();
    out.flush();
  } finally {
    conntrack.close();
  }
  context.err(`${CLOSING_PREFIX}${counter.count()} flow entries have been shown.`);
  return counter.count() > 0 ? 0 : 1;
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
  const conntrack = Conntrack.open();
  try {
    counter.visitor.beginBatch();
    conntrack.getExpectation(values.family ?? AF_INET, originalTuple(values) satisfies TupleSpec, (view) => {
      writer.begin();
      counter.visitor.entry(view);
    });
    writer.end();
    out.flush();
  } finally {
    conntrack.close();
  }
  return 0;
}
