// `--explain-filter`: what the filter of a command means, what the kernel does of it, and what may surprise. Runs nothing.

import { release } from 'node:os';
import { explainFlowFilter, type FilterExplanation } from '../../ctnetlink/filter/explain.js';
import type { FilterUse } from '../../ctnetlink/filter/notes.js';
import { safeJson } from '../../safe-text.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { updateFilterValues } from '../given-flow.js';
import { type Invocation, isJson } from '../invocation.js';
import type { NamespaceTable } from '../tables.js';

const DESTROY = 4;

/** @returns 0 */
export async function explainFilter(context: Context): Promise<number> {
  const { invocation, out } = context;
  const { values, command, textFilter } = invocation;
  const filter = flowFilter(command === 'U' ? updateFilterValues(values) : values, context.filterLabels, textFilter);
  const table = context.tables.several ? undefined : context.tables.only;
  const explanation = explainFlowFilter(filter, filterUse(invocation, table), { labels: context.labels });
  if (isJson(values.output)) out.text(`${safeJson(explanation)}\n`);
  else out.text(`${linesOf(explanation).join('\n')}\n`);
  out.flush();
  return 0;
}

/** How a command uses its filter, and what the network namespace records of flows. */
export function filterUse({ command, values }: Invocation, table: NamespaceTable | undefined): FilterUse {
  const setting = (name: string) => {
    const text = table?.readText(`/proc/sys/net/netfilter/nf_conntrack_${name}`)?.trim();
    return text === '0' || text === '1' ? Number(text) : undefined;
  };
  return {
    for: command === 'E' ? 'events' : command === 'D' || command === 'U' ? 'change' : 'list',
    tracked: values.initial ?? values.resync ?? false,
    onlyDestroy: values.eventMask === DESTROY,
    sysctls: { acct: setting('acct'), timestamp: setting('timestamp') },
    kernel: release(),
  };
}

function linesOf({ filter, dumps, socket, notes }: FilterExplanation): string[] {
  const lines = [`filter:  ${filter}`];
  if (dumps) {
    const count = dumps.length === 1 ? '1 dump' : `${dumps.length} dumps, or 1 where that is faster`;
    lines.push(`kernel:  ${dumps.length === 0 ? 'is not asked: nothing can match' : `${count}: ${dumps.join(', ')}`}`);
    if (dumps.length > 0) lines.push('here:    the whole filter, on every entry that comes');
  } else {
    lines.push(`socket:  ${socket ? `${socket.filter} (${socket.instructions} instructions)` : 'every event comes'}`);
    lines.push('here:    the whole filter, on every event that comes');
  }
  for (const { test, message } of notes) lines.push(`note:    ${test}: ${message}`);
  return lines;
}
