// Runs a word: its words → its body → exit status. With cli/main the only file that touches `process`.

import { outputTo } from '../cli/context.js';
import { err, report } from '../cli/report.js';
import type { ByteWriter } from '../format/byte-writer.js';
import { wordHelp } from './word-help.js';
import { parseWordLine, type WordLine } from './word-line.js';
import type { WordRow } from './words.js';

/** The parts of the system that a word may touch. */
export interface WordContext {
  /** Standard output; the rest is written when the word ends. */
  readonly out: ByteWriter;
  /** One line to standard error. */
  err(line: string): void;
}

/** What a word does. Returns its exit status and throws what went wrong. */
export type Word = (line: WordLine, context: WordContext) => Promise<number>;

const STDOUT = 1;

/** Runs a word with the rest of the command line, and ends the process. */
export async function runWord(row: WordRow, word: Word): Promise<void> {
  process.exit(await statusOf(row, word, process.argv.slice(3)));
}

async function statusOf(row: WordRow, word: Word, argv: readonly string[]): Promise<number> {
  try {
    const out = outputTo(STDOUT);
    const line = parseWordLine(row, argv);
    if (line.help) out.text(wordHelp(row));
    const status = line.help ? 0 : await word(line, { out, err });
    out.flush();
    return status;
  } catch (error) {
    return report(error, false, (known) => known);
  }
}
