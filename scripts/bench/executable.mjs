// The standalone executable beside the C tool and Node.js: starts, and lists of a mixed table.

import { spawnSync } from 'node:child_process';
import { root } from '../fresh.mjs';
import { compare } from './pairs.mjs';
import { load, ours, REFERENCE } from './table.mjs';

const EXECUTABLE = `${root}/dist-exe/conntrack`;
const EMPTY = ['node', [process.execPath, ['-e', '0']]];
const C_TOOL = (args) => ['the C tool', [REFERENCE, args]];
const NODE = (args) => ['Node.js', ours(args)];

/** What is compared with what, and the largest ratio that passes. Both run two dumps at the same time. */
const CASES = [
  { args: ['-C'], against: EMPTY, limit: 0.55, starts: true },
  { args: ['-C'], against: C_TOOL(['-C']), limit: 8, starts: true },
  { args: ['-C'], against: NODE(['-C']), limit: 0.5, starts: true },
  { args: ['-L'], against: C_TOOL(['-L']), limit: 0.6 },
  { args: ['-L'], against: NODE(['-L']), limit: 1.15 },
];

/** Builds it. */
export function buildExecutable() {
  console.error('building the executable');
  const { status, stderr } = spawnSync(process.execPath, [`${root}/scripts/build-exe.mjs`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the executable cannot be built: ${stderr}`);
}

/** @returns cases, as `compare` makes them */
export function measureExecutable({ file, pairs, startPairs, patience }) {
  load(file);
  return CASES.map(({ args, against: [who, reference], limit, starts = false }) =>
    compare({
      name: `executable ${args.join(' ')} against ${who}`,
      limit,
      count: starts ? startPairs : pairs,
      patience: patience / CASES.length,
      reference: { argv: reference },
      ours: { argv: [EXECUTABLE, args] },
    }),
  );
}
