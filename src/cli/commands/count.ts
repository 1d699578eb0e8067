// `-C`: how many entries or expectations there are.

import type { FlowFilter } from '../../ctnetlink/filter/condition.js';
import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import { KernelError, SystemError } from '../../errors.js';
import { NamespaceLabel } from '../../format/format-options.js';
import { safeJson } from '../../safe-text.js';
import type { Context } from '../context.js';
import { isJson } from '../invocation.js';
import type { NamespaceTable } from '../tables.js';

/** Everybody can read it, unlike the netlink answer. */
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

/** A number and its newline. */
const LINE_SIZE = 32;

/** @returns 0, or 1 when one of several namespaces failed */
export async function count(context: Context): Promise<number> {
  const { invocation, out, tables } = context;
  const expect = invocation.table === 'expect';
  const label = new NamespaceLabel();
  const json = isJson(invocation.values.output);
  const counts: object[] = [];
  let sum = 0;
  const complete = await tables.each(async (table) => {
    const count = expect
      ? { entries: await countExpectations(table) }
      : invocation.textFilter
        ? { entries: await countFlows(table, invocation.textFilter) }
        : countEntries(table);
    sum += count.entries;
    if (json) {
      counts.push(table.netns === undefined ? count : { netns: table.netns, ...count });
      return;
    }
    if (table.netns !== undefined) {
      label.set(table.netns);
      label.startLine(out);
    }
    out.reserve(LINE_SIZE);
    out.decimal(count.entries);
    out.byte(10);
  });
  if (json) out.text(countsJson(counts, tables.several && !invocation.values.output?.ndjson));
  out.flush();
  if (tables.several) context.close(`${sum} ${expect ? 'expectations' : 'flow entries'} have been counted.`);
  return complete ? 0 : 1;
}

/** One count; of several namespaces an array, or a line each. */
function countsJson(counts: readonly object[], array: boolean): string {
  return array ? `${safeJson(counts)}\n` : counts.map((count) => `${safeJson(count)}\n`).join('');
}

/** Those that a filter wants, by listing. */
async function countFlows(table: NamespaceTable, filter: FlowFilter): Promise<number> {
  let found = 0;
  await table.conntrack().scan(filter, { entry: () => found++ });
  return found;
}

async function countExpectations(table: NamespaceTable): Promise<number> {
  let found = 0;
  await table.conntrack().scanExpectations(AF_UNSPEC, { entry: () => found++ });
  return found;
}

function countEntries(table: NamespaceTable): { entries: number; maxEntries?: number | undefined } {
  try {
    return table.conntrack().count();
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof SystemError)) throw error;
    const text = table.readText(COUNT_FILE);
    if (text === undefined || !/^\d+\s*$/.test(text)) throw error;
    return { entries: Number(text) };
  }
}
