// Lists of the whole table and of one address, the start of the program, and the floor: a dump that discards everything.

import { spawnSync } from 'node:child_process';
import { root } from '../fresh.mjs';
import { peakMemory } from './memory.mjs';
import { compare, summary, time } from './pairs.mjs';
import { closingCount, load, ONE_V4, ONE_V6, OURS, ours, REFERENCE } from './table.mjs';

/** Megabytes at the peak, whatever the size of the table. */
const MEMORY_LIMIT = 90;

/** What is compared, and the largest ratio of our time to the reference's that passes; `aim` is a second, stricter one. */
const CASES = [
  { name: '-L', args: ['-L'], limit: 0.5, aim: 0.4 },
  { name: '-L -o xml', args: ['-L', '-o', 'xml'], limit: 0.5 },
  { name: '-L -o save', args: ['-L', '-o', 'save'], limit: 0.5 },
  { name: '-L -s ADDRESS', args: ['-L', '-s', ONE_V4], limit: 0.25 },
  { name: '-L -s ADDRESS (IPv6)', args: ['-L', '-s', ONE_V6], limit: 0.25 },
];
const START_LIMIT = 1.3;
/** A list against a dump that discards everything. */
const KERNEL_ONLY_LIMIT = 1.5;
const KERNEL_ONLY_PAIRS = 7;

/** @returns `{ cases, memory, kernelOnly }` */
export function measureReading({ work, file, flows, pairs, startPairs, patience }) {
  load(file);
  checkCounts(flows);
  const share = patience / (CASES.length + 2);
  const cases = CASES.map(({ name, args, limit, aim }) =>
    compare({
      name,
      limit,
      aim,
      count: pairs,
      patience: share,
      reference: { argv: [REFERENCE, args] },
      ours: { argv: ours(args) },
    }),
  );
  cases.push(
    compare({
      name: '-C against node -e 0',
      limit: START_LIMIT,
      count: startPairs,
      patience: share,
      reference: { argv: [process.execPath, ['-e', '0']] },
      ours: { argv: ours(['-C']) },
    }),
  );
  console.error('kernel only');
  const script = `${root}/scripts/bench/dump.mjs`;
  const dumps = JSON.parse(spawnSync(process.execPath, [script, '7'], { encoding: 'utf8' }).stdout).slice(1);
  const processes = Array.from({ length: 5 }, () => time(process.execPath, [script]));
  cases.push(
    compare({
      name: '-L against kernel only',
      limit: KERNEL_ONLY_LIMIT,
      count: Math.min(pairs, KERNEL_ONLY_PAIRS),
      patience: share,
      reference: { argv: [process.execPath, [script]] },
      ours: { argv: ours(['-L']) },
    }),
  );
  return {
    cases,
    kernelOnly: { dump: summary(dumps), process: summary(processes) },
    memory: measureReadingMemory(work, flows),
  };
}

/** Milliseconds that a list of a table takes, without the start of the program, which does not grow with it. */
export function measureList(file) {
  load(file);
  const runs = (args) => summary(Array.from({ length: 6 }, () => time(...ours(args))).slice(1));
  const start = runs(['-C']);
  const list = runs(['-L']);
  return { ...list, median: list.median - start.median, start: start.median };
}

/** Peak memory of lists of the table that is loaded. */
export function measureReadingMemory(work, flows) {
  return CASES.slice(0, 4).map(({ name, args }) => {
    console.error(`memory, ${name}`);
    return { name, flows, limit: MEMORY_LIMIT, megabytes: peakMemory(work, args) };
  });
}

/** Both tools must list the same number of entries, or their times mean nothing. */
function checkCounts(flows) {
  for (const { name, args } of CASES) {
    const reference = closingCount(REFERENCE, args);
    const own = closingCount(process.execPath, [OURS, ...args]);
    const expected = args.includes('-s') ? 1 : flows;
    if (reference !== expected || own !== expected)
      throw new Error(`${name}: expected ${expected} entries, the reference shows ${reference} and we show ${own}`);
  }
}
