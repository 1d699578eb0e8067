// Lines of a load file, read piece by piece: a file of any size in bounded memory.

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConntrackError } from '../../errors.js';
import { fileCode, fileReason } from '../file-reason.js';
import { waitForOthers } from '../output/output.js';
import { UsageError } from '../usage-error.js';

const PIECE = 65536;
const NEWLINE = 10;
/** Twice the longest possible line of words, and far more than any flow takes in JSON. */
const LONGEST_LINE = 1024 * 1024;

/** The lines to load cannot be read completely, or cannot be kept. `code` is the errno's name, such as EIO. */
export class InputError extends ConntrackError {
  readonly code: string;

  constructor(what: string, cause: unknown, hint?: string) {
    super(`${what}: ${fileReason(cause)}`, { cause, hint });
    this.code = fileCode(cause);
  }
}

/** Reads a regular file from its start, line by line, in one buffer that grows to its longest line. */
export class LineReader {
  /** The line is bytes `start` to `end` of this, without its newline, until `next` is called. */
  bytes = Buffer.allocUnsafeSlow(PIECE);
  start = 0;
  end = 0;
  /** Of the line, from 1. */
  number = 0;
  readonly #fd: number;
  /** Bytes of the file that have been read. */
  #position = 0;
  /** Where the next line begins, and where the bytes read so far end. */
  #next = 0;
  #filled = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns false at the end of the file. The text after the last newline is a line if it is not empty */
  next(): boolean {
    let searched = this.#next;
    for (;;) {
      const newline = this.bytes.indexOf(NEWLINE, searched);
      if (newline >= 0 && newline < this.#filled) return this.#line(newline, newline + 1);
      searched = this.#filled - this.#next;
      if (this.#read() === 0) return this.#filled > this.#next && this.#line(this.#filled, this.#filled);
      searched += this.#next;
    }
  }

  /** The line as text. */
  text(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }

  #line(end: number, next: number): true {
    this.start = this.#next;
    this.end = end;
    this.#next = next;
    this.number++;
    return true;
  }

  /** Moves the line that has begun to the front and reads on. @returns bytes read, 0 at the end of the file */
  #read(): number {
    const size = this.#filled - this.#next;
    if (size === this.bytes.length) {
      if (size >= LONGEST_LINE)
        throw new UsageError(`line ${this.number + 1} has more than ${LONGEST_LINE} bytes`, { hint: 'is it a file to load?' });
      const larger = Buffer.allocUnsafeSlow(size * 2);
      this.bytes.copy(larger);
      this.bytes = larger;
    } else this.bytes.copyWithin(0, this.#next, this.#filled);
    this.#next = 0;
    this.#filled = size;
    const read = readSome(this.#fd, this.bytes, size, this.#position);
    this.#position += read;
    this.#filled += read;
    return read;
  }
}

/** A copy of input that cannot be read twice (standard input, a pipe): a file that nobody else can open, and that is gone when closed. */
export function spool(from: number): number {
  const path = join(tmpdir(), `conntrack-${Date.now()}-${Math.random().toString(36).slice(2)}`);
  const kept = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw new InputError(`cannot keep a copy of the lines in ${tmpdir()}`, cause, KEEP_ELSEWHERE);
    }
  };
  const fd = kept(() => openSync(path, 'wx+', 0o600));
  try {
    kept(() => unlinkSync(path));
    const bytes = Buffer.alloc(PIECE);
    for (let size = readSome(from, bytes, 0, null); size > 0; size = readSome(from, bytes, 0, null))
      for (let done = 0; done < size; ) done += kept(() => writeSync(fd, bytes, done, size - done));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const KEEP_ELSEWHERE = 'set TMPDIR to a writable folder with enough room, or name a file: conntrack -R FILE';

/**
 * Fills `bytes` from `start` on with the available input, and waits for some if there is none. @returns how many bytes; 0 at the end.
 * @throws InputError
 */
export function readSome(fd: number, bytes: Buffer, start: number, position: number | null): number {
  for (;;) {
    try {
      return readSync(fd, bytes, start, bytes.length - start, position);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN')
        waitForOthers(); // standard input that somebody has made non-blocking
      else if (code === 'EISDIR') throw error;
      else if (code !== 'EINTR') throw new InputError('cannot read the lines', error);
    }
  }
}
