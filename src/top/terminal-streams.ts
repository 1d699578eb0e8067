// What a `Terminal` needs of the system: the streams of the process, its signals, the size of the terminal.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { type Readable, Writable } from 'node:stream';

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

/** Milliseconds after which a terminal that takes nothing is asked again. */
const ASK_AGAIN = 10;

/**
 * Node.js makes standard output block on terminals: one that takes nothing, as after Ctrl-S, would stop the whole program, also for
 * signals. The same terminal, opened anew, does not block. Where it cannot be opened, standard output must do.
 */
function nonBlocking(stdout: Writable & { readonly fd: number }): Writable {
  let fd: number;
  try {
    fd = openSync(`/proc/self/fd/${stdout.fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return stdout;
  }
  const write = (bytes: Buffer, done: (error?: Error | null) => void): void => {
    try {
      let at = 0;
      while (at < bytes.length) {
        const taken = tryWrite(fd, bytes.subarray(at));
        if (taken === 0) return void setTimeout(write, ASK_AGAIN, bytes.subarray(at), done).unref();
        at += taken;
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  };
  return new Writable({
    write: (bytes: Buffer, _, done) => write(bytes, done),
    destroy: (error, done) => {
      closeSync(fd);
      done(error);
    },
  });
}

/** @returns how many bytes it has taken */
function tryWrite(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN' || code === 'EINTR') return 0;
    throw error;
  }
}
