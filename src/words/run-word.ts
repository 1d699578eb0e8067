// Runs a word: its words → its body → exit status. With cli/main the only file that touches `process`.

import { outputTo } from '../cli/context.js';
import { explain } from '../cli/messages.js';
import { err, report } from '../cli/report.js';
import { UsageError } from '../cli/usage-error.js';
import type { ByteWriter } from '../format/byte-writer.js';
import { endProcess } from '../wire/end-process.js';
import { wordHelp } from './word-help.js';
import { parseWordLine, type WordLine } from './word-line.js';
import type { WordRow } from './words.js';

/** The parts of the system that a word may touch. */
export interface WordContext {
  /** Standard output; the rest is written when the word ends. */
  readonly out: ByteWriter;
  /** One line to standard error. */
  err(line: string): void;
  /** For what takes the terminal, and for the environment. */
  readonly host: NodeJS.Process;
}

/** What a word does. Returns its exit status and throws what went wrong. */
export type Word = (line: WordLine, context: WordContext) => Promise<number>;

const STDOUT = 1;
/** What words about tables do, in the words of messages. */
const LIST = { command: 'L', table: 'conntrack' } as const;

/** Runs a word with the rest of the command line, and ends the process. */
export async function runWord(row: WordRow, word: Word): Promise<void> {
  endProcess(await statusOf(row, word, process.argv.slice(3)));
}

async function statusOf(row: WordRow, word: Word, argv: readonly string[]): Promise<number> {
  try {
    const out = outputTo(STDOUT);
    const line = parseWordLine(row, argv);
    if (line.help) out.text(wordHelp(row));
    const status = line.help ? 0 : await word(line, { out, err, host: process });
    out.flush();
    return status;
  } catch (error) {
    const status = report(error, false, (known) => ('netns' in row.options ? explain(known, LIST) : known));
    return status === 1 && !(error instanceof UsageError) ? (row.failureStatus ?? status) : status;
  }
}
