// Peak memory of the command: its resident set as the process itself sees it when it ends.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { OURS } from './table.mjs';

/** @returns megabytes at the peak of one run with these arguments */
export function peakMemory(work, args) {
  const hook = `${work}/memory.cjs`;
  const file = `${work}/memory`;
  writeFileSync(
    hook,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.resourceUsage().maxRSS)));\n`,
  );
  const { status } = spawnSync(process.execPath, ['--require', hook, OURS, ...args], { stdio: 'ignore' });
  if (status !== 0) throw new Error(`conntrack ${args.join(' ')}: status ${status}`);
  return Number(readFileSync(file, 'utf8')) / 1024;
}
