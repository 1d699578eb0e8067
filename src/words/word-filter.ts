// The expression of a word: its operands, joined by blanks → a filter in canonical text.

import { readFileSync } from 'node:fs';
import { filterReader } from '../cli/filter-text.js';
import { LabelSource } from '../cli/labels.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import type { WordContext } from './run-word.js';

/** `undefined` without operands; `labelMap`: the file with names of labels. @throws UsageError with the place of the mistake */
export function expressionOf(
  operands: readonly string[],
  { err }: Pick<WordContext, 'err'>,
  labelMap?: string,
): string | undefined {
  if (operands.length === 0) return undefined;
  const labelSource = new LabelSource((line) => err(`conntrack: ${line}`));
  const read = filterReader({ labelSource, readProtocols });
  return formatFlowFilter(read([{ text: operands.join(' '), option: 'expression' }], labelMap));
}

/** The text of /etc/protocols, if it is there. */
export function readProtocols(): string {
  try {
    return readFileSync('/etc/protocols', 'utf8');
  } catch {
    return '';
  }
}
