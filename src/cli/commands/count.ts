// `-C`: how many entries or expectations there are.

import { readFileSync } from 'node:fs';
import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import { KernelError, SystemError } from '../../errors.js';
import type { Context } from '../context.js';

/** Readable by everybody, unlike the netlink answer. */
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

export async function count(context: Context): Promise<number> {
  const { invocation, out } = context;
  const number = invocation.table === 'expect' ? await countExpectations(context) : countEntries(context);
  out.decimal(number);
  out.byte(10);
  out.flush();
  return 0;
}

async function countExpectations(context: Context): Promise<number> {
  let found = 0;
  await context.conntrack().scanExpectations(AF_UNSPEC, { entry: () => found++ });
  return found;
}

function countEntries(context: Context): number {
  try {
    return context.conntrack().count().entries;
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof SystemError)) throw error;
    const text = readOptional(COUNT_FILE);
    if (text === undefined || !/^\d+\s*$/.test(text)) throw error;
    return Number(text);
  }
}

/** A file's text, or `undefined` where it cannot be read: the caller has a better error than that. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
