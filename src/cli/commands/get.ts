// `-G`: one entry, by its tuple; or one expectation, by what it expects.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { isMissing, type KernelError } from '../../errors.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import type { OptionValues } from '../invocation.js';
import { expectationWriter, flowWriter } from '../output/entry-writer.js';
import type { NamespaceTable, Tables } from '../tables.js';
import { originalTuple, replyTuple } from '../tuples.js';
import { countingVisitor } from './list.js';

/** @returns 0, or 1 if the entry does not match the other options */
export async function get(context: Context): Promise<number> {
  const { values, table } = context.invocation;
  try {
    return await (table === 'expect' ? getExpectation(context) : getFlow(context));
  } catch (error) {
    if (values.okIfNone && isMissing(error)) return 0;
    throw error;
  }
}

async function getFlow(context: Context): Promise<number> {
  const { invocation, out, labels, tables } = context;
  const { values } = invocation;
  const writer = await flowWriter(out, values.output, { labels, netns: tables.several, document: 'one' });
  const counter = countingVisitor(context, writer);
  counter.visitor.beginBatch();
  // Write the frame only after the kernel has answered, to avoid half a document next to an error.
  const complete = await inAnyTable(tables, (table) =>
    table.conntrack().get(flowKey(values), flowFilter(values, context.filterLabels, invocation.textFilter), (view) => {
      writer.begin(table.netns);
      counter.visitor.entry(view);
    }),
  );
  writer.end();
  out.flush();
  context.close(`${counter.count()} flow entries have been shown.`);
  return complete && (counter.count() > 0 || values.okIfNone) ? 0 : 1;
}

/** The tuple the options name: the original one when it is complete, else the reply. */
function flowKey(values: OptionValues) {
  const family = values.family ?? AF_INET;
  return values.src && values.dst
    ? { family, original: originalTuple(values), zone: values.zone }
    : { family, reply: replyTuple(values), zone: values.zone };
}

async function getExpectation(context: Context): Promise<number> {
  const { invocation, out, tables } = context;
  const { values } = invocation;
  const writer = await expectationWriter(out, values.output, { netns: tables.several, document: 'one' });
  const counter = countingVisitor(context, writer);
  counter.visitor.beginBatch();
  const complete = await inAnyTable(tables, (table) =>
    table.conntrack().getExpectation(values.family ?? AF_INET, originalTuple(values), (view) => {
      writer.begin(table.netns);
      counter.visitor.entry(view);
    }),
  );
  writer.end();
  out.flush();
  return complete ? 0 : 1;
}

/**
 * Does something on each table, any of which may lack the entry.
 * @returns as `Tables.each`
 * @throws KernelError with `code` ENOENT when every table lacks it
 */
export async function inAnyTable(tables: Tables, work: (table: NamespaceTable) => void): Promise<boolean> {
  let found = false;
  let absent: KernelError | undefined;
  const complete = await tables.each((table) => {
    try {
      work(table);
      found = true;
    } catch (error) {
      if (!isMissing(error)) throw error;
      absent = error;
    }
  });
  if (absent && !found && complete) throw absent;
  return complete;
}
