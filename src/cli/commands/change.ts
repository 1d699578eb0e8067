// What `-D` and `-U` share: run over the flows a filter wants, print each that was changed, tell how it went; and the safety
// options, which look first.

import type { FlowFilter } from '../../ctnetlink/filter.js';
import type { LabelMap } from '../../ctnetlink/label.js';
import type { View } from '../../ctnetlink/view.js';
import type { SaveVerb } from '../../format/flow-save.js';
import type { ChangeResult } from '../../library/flow-changes.js';
import type { Context } from '../context.js';
import { flowWriter } from '../flow-writer.js';
import { explain, failureLines } from '../messages.js';
import { notThisSsh } from '../ssh.js';
import { UsageError } from '../usage-error.js';

export interface FlowChangeCommand {
  /** What the closing line says. */
  readonly done: 'deleted' | 'updated';
  /** What `-o save` prints each flow as. */
  readonly verb: SaveVerb;
  readonly labels?: LabelMap | undefined;
  readonly filter: FlowFilter;
  /** Whether a flow that the filter wants would be changed. Default: each. */
  readonly concerns?: (view: View) => boolean;
  readonly run: (filter: FlowFilter, each: (view: View) => void, beginBatch: () => void) => Promise<ChangeResult>;
}

/** @returns 0 when at least one flow was changed and none was refused, else 1 */
export async function changeFlows(context: Context, command: FlowChangeCommand): Promise<number> {
  const { out, invocation } = context;
  const { output, dryRun, max, okIfNone, protectSsh } = invocation.values;
  const filter: FlowFilter = protectSsh ? { kind: 'all', of: [command.filter, notThisSsh()] } : command.filter;
  if (max !== undefined) await refuseMoreThan(context, max, filter, command);
  // Times are no part of what these commands print (cli.md 5.1).
  const shown = output && { ...output, timestamp: false, ktimestamp: false };
  const writer = flowWriter(out, shown, { labels: command.labels, verb: command.verb });
  const beginBatch = () => writer.clock.set(context.now());
  let changed = 0;
  let failed = 0;
  writer.begin();
  if (dryRun) {
    await scanConcerned(context, filter, command, beginBatch, (view) => {
      writer.entry(view);
      changed++;
    });
  } else {
    const result = await command.run(filter, writer.entry, beginBatch);
    ({ changed, failed } = result);
    writer.end();
    out.flush();
    tellFailures(context, result);
  }
  if (dryRun) writer.end();
  out.flush();
  context.close(`${changed} flow entries ${dryRun ? 'would be' : 'have been'} ${command.done}.`);
  return failed === 0 && (changed > 0 || okIfNone) ? 0 : 1;
}

/** `--max`: counts first, so that nothing is touched when it is too much. */
async function refuseMoreThan(context: Context, max: number, filter: FlowFilter, command: FlowChangeCommand): Promise<void> {
  let count = 0;
  await scanConcerned(context, filter, command, undefined, () => count++);
  if (count > max)
    throw new UsageError(`${count} flow entries would be ${command.done}, but --max allows ${max}; nothing was changed`, {
      exitStatus: 1,
      hint: 'narrow the filters, look with --dry-run, or raise --max',
    });
}

async function scanConcerned(
  context: Context,
  filter: FlowFilter,
  { concerns }: FlowChangeCommand,
  beginBatch: (() => void) | undefined,
  each: (view: View) => void,
): Promise<void> {
  const entry = concerns ? (view: View) => concerns(view) && each(view) : each;
  await context.conntrack().scan(filter, { entry, beginBatch });
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
