// WritableDescriptor: finds out whether a descriptor such as standard output accepts bytes now, without waiting and without changing it.

import { libc } from './ffi.js';
import type { DescriptorWatch } from './libc.js';
import { pollAnswer, pollRequest } from './pollfd.js';
import { POLLERR, POLLOUT } from './uapi/poll.js';

export class WritableDescriptor {
  readonly #fd: number;
  readonly #request: Uint8Array;
  #watch: DescriptorWatch | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    this.#request = pollRequest(fd, POLLOUT);
  }

  /** Whether a write of PIPE_BUF (4096) bytes would not wait: it succeeds, or fails at once. */
  get ready(): boolean {
    return libc().pollNow(this.#request) !== 0 && pollAnswer(this.#request) !== 0;
  }

  /** Whether nobody can read any more. */
  get broken(): boolean {
    return libc().pollNow(this.#request) !== 0 && (pollAnswer(this.#request) & POLLERR) !== 0;
  }

  /** Calls `callback` from the event loop, once, when the descriptor has become ready. For descriptors that are not ready now. */
  whenReady(callback: () => void): void {
    this.close();
    this.#watch = libc().watch(this.#fd, 'writable', () => {
      this.close();
      callback();
    });
  }

  /** Stops waiting. Idempotent; leaves the descriptor open. */
  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }
}
