// What `-D` and `-U` share: run over the flows a filter wants, print each that was changed, tell how it went.

import type { FlowFilter } from '../../ctnetlink/filter.js';
import type { LabelMap } from '../../ctnetlink/label.js';
import type { View } from '../../ctnetlink/view.js';
import type { SaveVerb } from '../../format/flow-save.js';
import { Conntrack } from '../../library/conntrack.js';
import type { ChangeResult } from '../../library/flow-changes.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { flowWriter } from '../flow-writer.js';
import { explain, failureLines } from '../messages.js';

export interface FlowChangeCommand {
  /** What the closing line says. */
  readonly done: 'deleted' | 'updated';
  /** What `-o save` prints each flow as. */
  readonly verb: SaveVerb;
  readonly labels?: LabelMap | undefined;
  readonly filter: FlowFilter;
  readonly run: (
    conntrack: Conntrack,
    filter: FlowFilter,
    each: (view: View) => void,
    beginBatch: () => void,
  ) => Promise<ChangeResult>;
}

/** @returns 0 when at least one flow was changed and none was refused, else 1 */
export async function changeFlows(context: Context, command: FlowChangeCommand): Promise<number> {
  const { out, invocation } = context;
  const modes = invocation.values.output;
  // Times are no part of what these commands print (cli.md 5.1).
  const shown = modes && { ...modes, timestamp: false, ktimestamp: false };
  const writer = flowWriter(out, shown, { labels: command.labels, verb: command.verb });
  const conntrack = Conntrack.open();
  let result: ChangeResult;
  try {
    writer.begin();
    result = await command.run(conntrack, command.filter, writer.entry, () => writer.clock.set(context.now()));
    writer.end();
    out.flush();
  } finally {
    conntrack.close();
  }
  tellFailures(context, result);
  context.err(`${CLOSING_PREFIX}${result.changed} flow entries have been ${command.done}.`);
  return result.changed > 0 && result.failed === 0 ? 0 : 1;
}

function tellFailures(context: Context, result: ChangeResult): void {
  if (result.withoutLabelRoom > 0)
    for (const line of failureLines(
      `${result.withoutLabelRoom} flows have no room for labels and were left alone`,
      'labels must be in use, as with "ct label" in an nftables rule, when a flow begins',
    ))
      context.err(line);
  if (result.failed === 0) return;
  const { message, hint } = explain(result.errors[0]!, context.invocation);
  for (const line of failureLines(`${result.failed} of ${result.matched} flows were refused; the first: ${message}`, hint))
    context.err(line);
}
