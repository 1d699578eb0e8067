// Lines of a load file, read piece by piece: a file of any size in bounded memory.

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

const PIECE = 65536;

/** The lines of a regular file, from its start, without their newlines. */
export function* linesOf(fd: number): Generator<string> {
  const bytes = Buffer.alloc(PIECE);
  const decoder = new StringDecoder('utf8');
  let position = 0;
  let rest = '';
  for (;;) {
    const size = readSync(fd, bytes, 0, PIECE, position);
    position += size;
    const text = rest + (size > 0 ? decoder.write(bytes.subarray(0, size)) : decoder.end());
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      yield text.slice(start, end);
      start = end + 1;
    }
    rest = text.slice(start);
    if (size === 0) break;
  }
  if (rest !== '') yield rest;
}

/** What cannot be read twice (standard input, a pipe) as a file that can: a copy that nobody else can open, gone when closed. */
export function spool(from: number): number {
  const path = join(tmpdir(), `conntrack-${Date.now()}-${Math.random().toString(36).slice(2)}`);
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
    const bytes = Buffer.alloc(PIECE);
    for (let size = readSync(from, bytes, 0, PIECE, null); size > 0; size = readSync(from, bytes, 0, PIECE, null))
      for (let done = 0; done < size; ) done += writeSync(fd, bytes, done, size - done);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
