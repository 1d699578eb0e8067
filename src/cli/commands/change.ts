// Common code of `-D` and `-U`: run over the flows that match, print each changed one, report the result; and the safety options, which
// check first.

import type { FlowFilter } from '../../ctnetlink/filter/condition.js';
import type { LabelMap } from '../../ctnetlink/label.js';
import type { View } from '../../ctnetlink/view.js';
import type { SaveVerb } from '../../format/flow-save.js';
import type { ChangeResult, ConntrackTable } from '../../library/index.js';
import type { Context } from '../context.js';
import { isJson } from '../invocation.js';
import { explain, failureLines } from '../messages.js';
import { flowWriter } from '../output/entry-writer.js';
import { OutputError } from '../output/output.js';
import { notThisSsh } from '../ssh.js';
import { UsageError } from '../usage-error.js';

export interface FlowChangeCommand {
  /** What the closing line says. */
  readonly done: 'deleted' | 'updated';
  /** What `-o save` prints each flow as. */
  readonly verb: SaveVerb;
  readonly labels?: LabelMap | undefined;
  readonly filter: FlowFilter;
  /** Whether a matching flow would be changed. Default: every one. */
  readonly concerns?: (view: View) => boolean;
  readonly run: (
    conntrack: ConntrackTable,
    filter: FlowFilter,
    each: (view: View) => void,
    beginBatch: () => void,
  ) => Promise<ChangeResult>;
}

/** @returns 0 if at least one flow was changed and none was refused, otherwise 1 */
export async function changeFlows(context: Context, command: FlowChangeCommand): Promise<number> {
  const { out, invocation, tables } = context;
  const { output, dryRun, max, okIfNone, protectSsh } = invocation.values;
  const filter: FlowFilter = protectSsh ? { kind: 'all', of: [command.filter, notThisSsh()] } : command.filter;
  if (max !== undefined) await refuseMoreThan(context, max, filter, command);
  // These commands print no times: docs/behaviour.md 5.1.
  const shown = output && { ...output, timestamp: false, ktimestamp: false };
  const writer = await flowWriter(out, shown, {
    labels: command.labels,
    verb: command.verb,
    netns: tables.several,
    document: 'result',
  });
  const beginBatch = () => writer.clock.set(context.now());
  let changed = 0;
  let written = 0;
  const results: TableResult[] = [];
  const complete = await tables.each(async (table) => {
    const conntrack = table.conntrack();
    writer.begin(table.netns);
    if (dryRun)
      await scanConcerned(conntrack, filter, command, beginBatch, (view) => {
        writer.entry(view);
        changed++;
      });
    else {
      const done = (view: View) => {
        writer.entry(view);
        written++;
      };
      const result = await command.run(conntrack, filter, done, beginBatch).catch((error) => {
        throw toldOfThoseBefore(context, command, written, error);
      });
      changed += result.changed;
      results.push({ netns: table.netns, result });
    }
  });
  const json = isJson(output);
  writer.end(json ? resultJson(context, command, results, changed) : undefined);
  out.flush();
  if (!json) for (const { netns, result } of results) tellFailures(context, netns, result);
  context.close(`${changed} flow entries ${dryRun ? 'would be' : 'have been'} ${command.done}.`);
  const failed = results.some(({ result }) => result.failed > 0);
  return complete && !failed && (changed > 0 || okIfNone) ? 0 : 1;
}

/** Changes made before a failure stay, so show and count them. @returns the failure */
function toldOfThoseBefore({ out, err }: Context, { done }: FlowChangeCommand, count: number, failure: unknown): unknown {
  if (count === 0 || failure instanceof OutputError) return failure;
  out.flush();
  err(`conntrack: ${count} flow entries had been ${done} before this failed:`);
  return failure;
}

/** `--max`: counts first, so that nothing is touched if there are too many. */
async function refuseMoreThan(context: Context, max: number, filter: FlowFilter, command: FlowChangeCommand): Promise<void> {
  let count = 0;
  const complete = await context.tables.each((table) =>
    scanConcerned(table.conntrack(), filter, command, undefined, () => count++),
  );
  if (!complete) throw notCounted();
  if (count > max)
    throw new UsageError(`${count} flow entries would be ${command.done}, but --max allows ${max}; nothing was changed`, {
      exitStatus: 1,
      hint: 'narrow the filters, look with --dry-run, or raise --max',
    });
}

/** `--max` cannot be enforced if the entries of a namespace are unknown. */
export function notCounted(): UsageError {
  return new UsageError('not every network namespace could be counted, which --max requires; nothing was changed', {
    exitStatus: 1,
  });
}

async function scanConcerned(
  conntrack: ConntrackTable,
  filter: FlowFilter,
  { concerns }: FlowChangeCommand,
  beginBatch: (() => void) | undefined,
  each: (view: View) => void,
): Promise<void> {
  const entry = concerns ? (view: View) => concerns(view) && each(view) : each;
  await conntrack.scan(filter, { entry, beginBatch });
}

interface TableResult {
  readonly netns: string | undefined;
  readonly result: ChangeResult;
}

/** The library's result object, with the command's wording of errors. `listed`: the number of flows in a dry run. */
function resultJson(
  { invocation }: Context,
  { done }: FlowChangeCommand,
  results: readonly TableResult[],
  listed: number,
): object {
  if (invocation.values.dryRun) return { dryRun: true, matched: listed, [done]: 0, alreadyGone: 0, failed: 0 };
  const sum = (name: 'matched' | 'changed' | 'alreadyGone' | 'unchanged' | 'withoutLabelRoom' | 'failed') =>
    results.reduce((before, { result }) => before + result[name], 0);
  const errors = results.flatMap(({ netns, result }) =>
    result.errors.map((error) => ({
      ...(netns === undefined ? {} : { netns }),
      code: error.code,
      ...explain(error, invocation),
    })),
  );
  return {
    matched: sum('matched'),
    [done]: sum('changed'),
    alreadyGone: sum('alreadyGone'),
    ...(done === 'updated' ? { unchanged: sum('unchanged'), withoutLabelRoom: sum('withoutLabelRoom') } : {}),
    failed: sum('failed'),
    ...(errors.length > 0 ? { errors } : {}),
  };
}

function tellFailures(context: Context, netns: string | undefined, result: ChangeResult): void {
  const where = netns === undefined ? '' : `netns ${netns}: `;
  if (result.withoutLabelRoom > 0)
    for (const line of failureLines(
      `${where}${result.withoutLabelRoom} flows have no room for labels and got none`,
      'labels must be in use, as with "ct label" in an nftables rule, when a flow begins',
    ))
      context.err(line);
  if (result.failed === 0) return;
  const { message, hint } = explain(result.errors[0]!, context.invocation);
  for (const line of failureLines(
    `${where}${result.failed} of ${result.matched} flows were refused; the first: ${message}`,
    hint,
  ))
    context.err(line);
}
