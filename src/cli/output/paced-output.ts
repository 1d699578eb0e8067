// PacedOutput: writes bytes to a descriptor as fast as its reader takes them, and never waits for it. It keeps what the reader has not
// taken; the caller must not add more until it has been taken, so that a stalled reader costs no memory.

import { fstatSync, writeSync } from 'node:fs';
import { WritableDescriptor } from '../../wire/writable.js';
import { OutputError, waitForOthers } from './output.js';

/** A pipe that is ready takes this much without waiting. */
const PIPE_BUF = 4096;

export class PacedOutput {
  readonly #fd: number;
  readonly #descriptor: WritableDescriptor;
  /** The largest single write. Files never wait. */
  readonly #most: number;
  #kept = new Uint8Array(0);
  #keptFrom = 0;
  #written = 0;
  #waiting: (() => void)[] = [];

  constructor(fd: number) {
    this.#fd = fd;
    this.#descriptor = new WritableDescriptor(fd);
    this.#most = canWait(fd) ? PIPE_BUF : Number.POSITIVE_INFINITY;
  }

  /** Bytes that the reader has not taken yet. */
  get kept(): number {
    return this.#kept.length - this.#keptFrom;
  }

  /** Bytes that it has taken. */
  get written(): number {
    return this.#written;
  }

  /** Writes `bytes` from 0 to `length`, or keeps a copy of the rest. @throws OutputError */
  write(bytes: Uint8Array, length: number): void {
    const done = this.kept === 0 ? this.#writeSome(bytes, 0, length) : 0;
    if (done === length) return;
    const rest = new Uint8Array(this.kept + length - done);
    rest.set(this.#kept.subarray(this.#keptFrom));
    rest.set(bytes.subarray(done, length), this.kept);
    this.#kept = rest;
    this.#keptFrom = 0;
  }

  /** Resolves when everything was taken. @throws OutputError */
  async taken(): Promise<void> {
    while (this.kept > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.#descriptor.whenReady(() => this.#wake());
      });
      this.#keptFrom += this.#writeSome(this.#kept, this.#keptFrom, this.#kept.length);
    }
    this.#kept = new Uint8Array(0);
    this.#keptFrom = 0;
  }

  /** Drops what was not taken and stops waiting. */
  close(): void {
    this.#descriptor.close();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Writes from `from` on while the descriptor is ready. @returns how many bytes */
  #writeSome(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end && (this.#most > PIPE_BUF || this.#descriptor.ready)) {
      try {
        at += writeSync(this.#fd, bytes, at, Math.min(end - at, this.#most));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN' && this.#most === PIPE_BUF) break;
        if (code === 'EAGAIN')
          waitForOthers(); // a file, whose readiness cannot be polled
        else if (code !== 'EINTR') throw new OutputError(error);
      }
    }
    this.#written += at - from;
    return at - from;
  }
}

/** Major number of /dev/null and its kin, as Linux has it. */
const MEMORY_DEVICE = 1;

/** Whether a write may have to wait for somebody: not to a file, nor to a device without a reader. */
function canWait(fd: number): boolean {
  const stat = fstatSync(fd);
  return !(stat.isFile() || stat.isBlockDevice() || (stat.isCharacterDevice() && stat.rdev >> 8 === MEMORY_DEVICE));
}
