// Runs in a private network namespace, and prints as JSON what the running kernel does, and whether the command under test gives the
// right answers on it. scripts/test-kernels.mjs reads it.

import { readFileSync } from 'node:fs';
import { splitWords } from '../support/argv.js';
import { DUMP_FLAGS, dumpBy, FLUSH, message, newFlow, request } from '../support/netlink.js';
import { COMMAND_ENVIRONMENT, UNDER_TEST } from '../support/project.js';
import { type ResidentResult, runResident } from '../support/resident.js';
import { FEATURE_ROWS, portsOnly, tracksPorts } from './feature-rows.js';
import { DCCP, FILTER_ROWS, type FilterRow, FLOWS, STEP } from './filter-rows.js';

const tool = (words: string): Promise<ResidentResult> =>
  runResident({ argv: [UNDER_TEST, ...splitWords(words)], environment: COMMAND_ENVIRONMENT });

const HEADER = 20;
const CTA_TIMEOUT = 7;

/** Which of FLOWS an entry of a dump is. */
function flowOf(entry: Buffer): number {
  for (let at = HEADER; at + 4 <= entry.length; at += (entry.readUInt16LE(at) + 3) & ~3)
    if ((entry.readUInt16LE(at + 2) & 0x3fff) === CTA_TIMEOUT) return Math.ceil(entry.readUInt32BE(at + 4) / STEP) - 1;
  throw new Error(`an entry without a timeout: ${entry.toString('hex')}`);
}

function listed(family: number, attributes: readonly Buffer[]): string {
  return dumpBy(message(0x101, DUMP_FLAGS, family, ...attributes))
    .map(flowOf)
    .sort((a, b) => a - b)
    .join();
}

/** The effect of a condition, in a word. */
function kernelFilter(row: FilterRow, there: readonly number[]): string {
  const everything = listed(row.attributes.length === 0 ? 0 : row.family, []);
  const wanted = there.filter((n) => row.wants(FLOWS[n]!)).join();
  const others = everything
    .split(',')
    .filter((n) => !wanted.split(',').includes(n))
    .join();
  let got: string;
  try {
    got = listed(row.family, row.attributes);
  } catch (error) {
    const errno = /errno (\d+)/.exec(String(error))?.[1];
    if (errno === undefined) throw error;
    return `refused (${errno})`;
  }
  if (wanted === everything || wanted === '') throw new Error(`${row.name}: the table cannot tell`);
  if (got === wanted) return 'yes';
  if (got === everything) return 'ignored';
  if (got === others) return 'inverted';
  // SCTP and the like: the protocol counts, its ports do not.
  return wanted.split(',').every((n) => got.split(',').includes(n)) ? 'in part' : `wrong (${got})`;
}

async function toolFilter(row: FilterRow, there: readonly number[]): Promise<string | undefined> {
  const wanted = there.filter((n) => row.wants(FLOWS[n]!));
  const { status, stdout, stderr } = await tool(`-L ${row.words}`);
  const got = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => Math.ceil(Number(/^\S+ +\d+ (\d+)/.exec(line)?.[1]) / STEP) - 1)
    .sort((a, b) => a - b);
  if (status === 0 && got.join() === wanted.join()) return undefined;
  return `-L ${row.words}: exit ${status}, flows ${got}, wanted ${wanted}; ${stderr}`;
}

const kernels: Record<string, string> = {};
const faults: string[] = [];
const fault = (name: string, text: string | undefined) => {
  if (text !== undefined) faults.push(`${name}: ${text}`);
};

// What has no ports cannot be chosen by them.
const unported = [
  [DCCP, 'DCCP'],
  [136, 'UDP-Lite'],
].flatMap(([proto, name]) => (tracksPorts((n) => portsOnly(proto as number, n)) === 'yes' ? [] : [name as string]));
request([FLUSH, ...FLOWS.map(newFlow)]).forEach((errno, n) => {
  if (errno !== 0) faults.push(`flow ${n} was refused with errno ${errno}`);
});
const there = listed(0, []).split(',').map(Number);
for (const row of FILTER_ROWS) {
  if (unported.some((name) => row.name.startsWith(`${name} `))) {
    kernels[row.name] = 'no ports';
    continue;
  }
  kernels[row.name] = kernelFilter(row, there);
  fault(row.name, await toolFilter(row, there));
}
for (const row of FEATURE_ROWS) {
  try {
    const answer = row.kernel();
    kernels[row.name] = answer;
    fault(row.name, await row.tool?.(tool, answer));
  } catch (error) {
    kernels[row.name] = '?';
    fault(row.name, String(error));
  }
}
console.log(JSON.stringify({ release: readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim(), kernels, faults }));
process.exit(faults.length > 0 ? 1 : 0);
