// `-C`: how many entries or expectations there are.

import { readFileSync } from 'node:fs';
import { AF_UNSPEC } from '../../ctnetlink/uapi/in.js';
import { KernelError, SystemError } from '../../errors.js';
import { Conntrack } from '../../library/conntrack.js';
import type { Context } from '../context.js';

/** Readable by everybody, unlike the netlink answer. */
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

export async function count(context: Context): Promise<number> {
  const { invocation, out } = context;
  const number = invocation.table === 'expect' ? await countExpectations() : countEntries();
  out.decimal(number);
  out.byte(10);
  out.flush();
  return 0;
}

async function countExpectations(): Promise<number> {
  const conntrack = Conntrack.open();
  let found = 0;
  try {
    await conntrack.scanExpectations(AF_UNSPEC, { entry: () => found++ });
  } finally {
    conntrack.close();
  }
  return found;
}

function countEntries(): number {
  try {
    const conntrack = Conntrack.open();
    try {
      return conntrack.count().entries;
    } finally {
      conntrack.close();
    }
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
