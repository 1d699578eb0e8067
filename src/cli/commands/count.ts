// `-C`: how many entries or expectations there are.

import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import { KernelError, SystemError } from '../../errors.js';
import { NamespaceLabel } from '../../format/options.js';
import type { Context } from '../context.js';
import type { Table } from '../tables.js';

/** Readable by everybody, unlike the netlink answer. */
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

/** A number and its newline. */
const LINE_SIZE = 32;

/** @returns 0, or 1 when one of several namespaces failed */
export async function count(context: Context): Promise<number> {
  const { invocation, out, tables } = context;
  const expect = invocation.table === 'expect';
  const label = new NamespaceLabel();
  let sum = 0;
  const complete = await tables.each(async (table) => {
    const number = expect ? await countExpectations(table) : countEntries(table);
    sum += number;
    if (table.netns !== undefined) {
      label.set(table.netns);
      out.reserve(label.size);
      label.writeText(out);
    }
    out.reserve(LINE_SIZE);
    out.decimal(number);
    out.byte(10);
  });
  out.flush();
  if (tables.several) context.close(`${sum} ${expect ? 'expectations' : 'flow entries'} have been counted.`);
  return complete ? 0 : 1;
}

async function countExpectations(table: Table): Promise<number> {
  let found = 0;
  await table.conntrack().scanExpectations(AF_UNSPEC, { entry: () => found++ });
  return found;
}

function countEntries(table: Table): number {
  try {
    return table.conntrack().count().entries;
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof SystemError)) throw error;
    const text = table.readText(COUNT_FILE);
    if (text === undefined || !/^\d+\s*$/.test(text)) throw error;
    return Number(text);
  }
}
