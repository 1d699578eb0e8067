// Libc: the part of the C library that a netlink client needs. ffi.ts provides it on Node.js, ffi-bun.ts in the standalone executable.

/** The libc calls used here. A negative result is `-errno`, as inside the kernel. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  /**
   * send(2) on a thread of the pool, because the kernel makes the first part of a dump inside it. The caller keeps `bytes` alive until
   * `done` runs.
   */
  sendAsync(fd: number, bytes: Uint8Array, length: number, flags: number, done: (result: number) => void): void;
  recvmmsg(fd: number, headers: Uint8Array, count: number, flags: number): number;
  /** recvmmsg(2) on a thread of the pool. The caller keeps every buffer that `headers` points to alive until `done` runs. */
  recvmmsgAsync(fd: number, headers: Uint8Array, count: number, flags: number, done: (result: number) => void): void;
  close(fd: number): number;
  /** poll(2) of one descriptor without waiting. `request` is made by `pollRequest`. Returns 0 if the descriptor is not ready. */
  pollNow(request: Uint8Array): number;
  /**
   * Calls `ready` from the event loop whenever `fd` can be read (or written), repeatedly as long as that is so. `status` is 0, or
   * negative if the descriptor has an error pending: then there are no further calls until `start`. Use one watch per descriptor at a
   * time, and close it before the descriptor (docs/kernel.md 8.1).
   */
  watch(fd: number, direction: 'readable' | 'writable', ready: (status: number) => void): DescriptorWatch;
  /** adjtimex(2): fills a struct timex. @returns the state of the clock */
  adjtimex(timex: Uint8Array): number;
  /** setns(2): moves the calling thread only. */
  setns(fd: number, type: number): number;
  /** _exit(2): ends the process at once, without running anything more of it. */
  exit(status: number): void;
  /** mallopt(3), where this C library has it. @returns whether it took the value */
  mallopt?(parameter: number, value: number): boolean;
  /** The address of a buffer's first byte. It is valid as long as the buffer is reachable. */
  address(bytes: Uint8Array): bigint;
  /** Bytes in a pointer: 8 or 4. */
  readonly pointerSize: number;
}

/** A running watch on a descriptor. Keep it reachable: a collected one goes silent. None of its methods works after `close`. */
export interface DescriptorWatch {
  /** Resumes after `stop` or an error. */
  start(): void;
  stop(): void;
  /** The process may end while this runs. */
  unref(): void;
  /** The process stays alive while this runs; this is the initial state. */
  ref(): void;
  close(): void;
}
