// The date that made files bear, so that the same sources give the same bytes: SOURCE_DATE_EPOCH, or that of the last commit, or, without
// git, that of the newest change that package.json knows of.

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { root } from './fresh.mjs';

/** Seconds since 1970. */
export function sourceDate() {
  const { SOURCE_DATE_EPOCH } = process.env;
  if (/^\d+$/.test(SOURCE_DATE_EPOCH ?? '')) return Number(SOURCE_DATE_EPOCH);
  const git = spawnSync('git', ['-C', root, 'log', '-1', '--format=%ct'], { encoding: 'utf8' });
  if (git.status === 0 && /^\d+\n$/.test(git.stdout)) return Number(git.stdout);
  return Math.floor(statSync(`${root}/package.json`).mtimeMs / 1000);
}
