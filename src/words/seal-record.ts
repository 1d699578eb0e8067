// `conntrack seal-record FILE`: what a recorder runs for each segment that has ended. It prints what was sealed, as JSON.

import { setPriority } from 'node:os';
import { UsageError } from '../cli/usage-error.js';
import { loadDriver } from '../history/driver/load-driver.js';
import { sealSegment } from '../history/seal-segment.js';
import { safeJson } from '../safe-text.js';
import type { Word } from './run-word.js';

/** Recording goes first. */
const NICENESS = 10;

export const word: Word = async ({ operands }, { out }) => {
  const [path] = operands;
  if (path === undefined) throw new UsageError('seal-record needs a file');
  setPriority(NICENESS);
  out.text(`${safeJson(await sealSegment(loadDriver(), path, Date.now() * 1000))}\n`);
  return 0;
};
