// `--labelmap` of words: the names of labels.

import { existsSync } from 'node:fs';
import { LabelSource } from '../cli/labels.js';
import { LABEL_FILE } from '../ctnetlink/label.js';
import type { LabelMap } from '../library/index.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { textOf } from './word-values.js';

/** The names in the file that is told, else in that of the system, if there is one. */
export function labelsOf(line: WordLine, { err }: Pick<WordContext, 'err'>): LabelMap | undefined {
  const path = textOf(line, 'labelmap');
  if (path === undefined && !existsSync(LABEL_FILE)) return undefined;
  return new LabelSource((text) => err(`conntrack: ${text}`)).load(path);
}
