// `-L`: the entries of the table, of the dying and unconfirmed lists, or the expectations.

import type { FlowFilter } from '../../ctnetlink/filter/condition.js';
import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import type { View } from '../../ctnetlink/view.js';
import { ConntrackError } from '../../errors.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { isJson } from '../invocation.js';
import { type EntryWriter, expectationWriter, flowWriter } from '../output/entry-writer.js';

/** @returns exit status 0, with or without entries; 1 when one of several namespaces failed */
export async function list(context: Context): Promise<number> {
  const { invocation, out, labels } = context;
  const { values, table } = invocation;
  const options = { labels, netns: context.tables.several };
  const writer = await (table === 'expect' ? expectationWriter : flowWriter)(out, values.output, options);
  const counter = countingVisitor(context, writer);
  const complete = await context.tables.each(async (each) => {
    const conntrack = each.conntrack();
    writer.begin(each.netns);
    if (table === 'expect') await conntrack.scanExpectations(values.family ?? AF_UNSPEC, counter.visitor);
    else
      await conntrack.scan(flowFilter(values, context.filterLabels, invocation.textFilter), counter.visitor, {
        list: table,
        zero: values.zero ?? false,
      });
  });
  writer.end();
  out.flush();
  if (counter.count() === 0 && complete && isPlain(context) && context.isTerminal()) await tellWhyEmpty(context);
  if (counter.count() === 0 && complete && invocation.textFilter) await tellOfLabels(context, invocation.textFilter);
  context.close(`${counter.count()} ${table === 'expect' ? 'expectations' : 'flow entries'} have been shown.`);
  return complete ? 0 : 1;
}

/** The whole table of one namespace was asked for, as text. */
function isPlain({ invocation: { table, values }, tables }: Context): boolean {
  const selects = Object.keys(values).some((key) => key !== 'output' && key !== 'netns');
  return table === 'conntrack' && !selects && !tables.several && !isJson(values.output);
}

async function tellWhyEmpty(context: Context): Promise<void> {
  const { aboutEmptyTable } = await import('../empty-table.js');
  try {
    for (const line of await aboutEmptyTable(context.conntrack())) context.err(line);
  } catch (error) {
    // The list itself is right; if the reason for its being empty cannot be found, it is left out.
    if (!(error instanceof ConntrackError)) throw error;
  }
}

/** Nothing was found by a filter with labels: says so if no flow has any, since then none could be. */
async function tellOfLabels(context: Context, filter: FlowFilter): Promise<void> {
  const { asksLabels } = await import('../../ctnetlink/filter/notes.js');
  if (context.tables.several || !asksLabels(filter)) return;
  let found = false;
  const entry = () => {
    found = true;
  };
  await context.conntrack().scan({ kind: 'has', what: 'label' }, { entry });
  if (!found) context.err('conntrack: note: no flow of this table has a label');
}

/** Writes and counts each entry, and looks at the clock once per batch. */
export function countingVisitor(context: Context, writer: EntryWriter) {
  let count = 0;
  return {
    count: () => count,
    visitor: {
      entry: (view: View) => {
        writer.entry(view);
        count++;
      },
      beginBatch: () => writer.clock.set(context.now()),
    },
  };
}
