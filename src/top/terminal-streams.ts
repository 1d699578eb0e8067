// What a `Terminal` needs of the system: the streams of the process, its signals, the size of the terminal.

import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';

/** The signals that end a program; all others are not ours to catch. SIGINT comes only from elsewhere: Ctrl-C is a key. */
export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export interface TerminalStreams {
  readonly input: Readable & { setRawMode?(raw: boolean): unknown };
  /** Its callback means that the terminal has taken the text. */
  readonly output: Writable;
  /** Writes past whatever waits in `output`, and blocks meanwhile: for the end of the process. */
  writeNow(text: string): void;
  /** Columns and rows. */
  size(): readonly [columns: number, rows: number];
  readonly host: Pick<NodeJS.Process, 'pid' | 'kill' | 'on' | 'off'>;
}

/** The size of a terminal that does not tell it. */
const USUAL_SIZE = [80, 24] as const;

/** The terminal of a process, whose standard input and output must be one. */
export function terminalStreams(host: NodeJS.Process): TerminalStreams {
  const { stdin, stdout } = host;
  stdout.on('error', () => {}); // the terminal is gone, which `output` tells
  return {
    input: stdin,
    output: nonBlocking(stdout),
    writeNow: (text) => void stdout.write(text),
    size: () => [stdout.columns || USUAL_SIZE[0], stdout.rows || USUAL_SIZE[1]],
    host,
  };
}

/**
 * Node.js makes standard output block on terminals: one that takes nothing, as after Ctrl-S, would stop the whole program, also for
 * signals. A terminal that is opened for reading can be written to and does not block.
 */
function nonBlocking(stdout: Writable & { readonly fd: number }): Writable {
  const stream: Writable = new ReadStream(stdout.fd);
  return typeof stream.write === 'function' ? stream : stdout;
}
