// WritableDescriptor: whether a descriptor such as standard output takes bytes now, asked without waiting and without changing it.

import { host16, putHost16, putHost32 } from './bytes.js';
import { libc } from './ffi.js';
import type { DescriptorWatch } from './libc.js';
import { POLLOUT } from './uapi/netlink.js';

/** struct pollfd: fd, events, revents. */
const POLLFD_SIZE = 8;
const EVENTS = 4;
const REVENTS = 6;

export class WritableDescriptor {
  readonly #fd: number;
  readonly #request = new Uint8Array(POLLFD_SIZE);
  #watch: DescriptorWatch | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    putHost32(this.#request, 0, fd);
    putHost16(this.#request, EVENTS, POLLOUT);
  }

  /** Whether a write of PIPE_BUF (4096) bytes would not wait: it succeeds, or fails at once. */
  get ready(): boolean {
    return libc().pollNow(this.#request) !== 0 && host16(this.#request, REVENTS) !== 0;
  }

  /** Calls `callback` from the event loop, once, when the descriptor has become ready. For descriptors that are not ready now. */
  whenReady(callback: () => void): void {
    this.close();
    this.#watch = libc().watch(this.#fd, 'writable', () => {
      this.close();
      callback();
    });
  }

  /** Waits no more. Idempotent; leaves the descriptor open. */
  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }
}
