// The limit of entries per namespace: one sysctl of the initial namespace for all of them. So it is lowered only as far as no other test
// notices, by a helper that restores it even if this process is killed.

import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';

/** Entries of all namespaces together, roughly; undefined if the kernel does not say. */
function entriesEverywhere(): number | undefined {
  try {
    const slab = /^nf_conntrack +(\d+)/m.exec(readFileSync('/proc/slabinfo', 'latin1'))?.[1];
    return slab === undefined ? undefined : Number(slab);
  } catch {
    return undefined;
  }
}

const LOCK = join(tmpdir(), 'conntrack-test-table-limit');

/** Runs `work` while no other test file fills a large table or lowers the limit. */
export async function alone<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!holderLives()) rmSync(LOCK, { force: true });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await work();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function holderLives(): boolean {
  try {
    process.kill(Number(readFileSync(LOCK, 'latin1')) || process.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Runs `work` while tables may have `limit` entries at most.
 * @returns why it could not be: the limit cannot be written here, or somebody has so many entries now
 */
export async function withTableLimit(limit: number, work: () => Promise<void>): Promise<string | undefined> {
  let everywhere = entriesEverywhere();
  // Tables of namespaces that have just ended are freed a little later.
  for (let n = 0; n < 60 && everywhere !== undefined && everywhere > limit / 2; n++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    everywhere = entriesEverywhere();
  }
  if (everywhere === undefined || everywhere > limit / 2)
    return `${everywhere ?? 'an unknown number of'} entries are in use on this machine`;
  const before = readFileSync(MAX, 'latin1').trim();
  // `read` returns when our end of the pipe is closed, by us or by our death.
  const keeper = spawn('sh', ['-c', `echo ${limit} > ${MAX} && echo set; read line; echo ${before} > ${MAX}`], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true, // an interrupt from the terminal is not meant for it
  });
  const ended = new Promise<void>((resolve) => keeper.once('exit', () => resolve()));
  const set = await new Promise<boolean>((resolve) => {
    keeper.stdout.once('data', () => resolve(true));
    keeper.once('exit', () => resolve(false));
    keeper.once('error', () => resolve(false));
  });
  try {
    if (!set) return `${MAX} cannot be written`;
    await work();
  } finally {
    keeper.stdin.end();
    await ended;
  }
  return undefined;
}
