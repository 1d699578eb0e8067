// Libc: the C library as far as a netlink client needs it. ffi.ts provides it on Node.js, ffi-bun.ts in the standalone executable.

/** libc, as far as it is needed here. A negative result is `-errno`, as inside the kernel. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  /** send(2) on a thread of the pool: the first part of a dump is made inside it. The caller keeps `bytes` alive until `done` runs. */
  sendAsync(fd: number, bytes: Uint8Array, length: number, flags: number, done: (result: number) => void): void;
  recvmmsg(fd: number, headers: Uint8Array, count: number, flags: number): number;
  /** recvmmsg(2) on a thread of the pool. The caller keeps every buffer that `headers` points to alive until `done` runs. */
  recvmmsgAsync(fd: number, headers: Uint8Array, count: number, flags: number, done: (result: number) => void): void;
  close(fd: number): number;
  /** poll(2) of one descriptor without waiting. `request` is of `pollRequest`; 0: not ready. */
  pollNow(request: Uint8Array): number;
  /**
   * Calls `ready` from the event loop whenever `fd` can be read (or written), again and again until that has changed. `status` is
   * 0, or negative when the descriptor has an error pending: then nothing is called any more until `start`. One watch for a descriptor
   * at a time; close it before the descriptor (docs/kernel.md 8.1).
   */
  watch(fd: number, direction: 'readable' | 'writable', ready: (status: number) => void): DescriptorWatch;
  /** setns(2): moves the calling thread only. */
  setns(fd: number, type: number): number;
  /** _exit(2): ends the process at once, without running anything more of it. */
  exit(status: number): void;
  /** The address of a buffer's first byte. It holds as long as the buffer is reachable. */
  address(bytes: Uint8Array): bigint;
  /** Bytes in a pointer: 8 or 4. */
  readonly pointerSize: number;
}

/** A running watch on a descriptor. Keep it reachable: a collected one goes silent. None of its methods works after `close`. */
export interface DescriptorWatch {
  /** Begins again after `stop` or an error. */
  start(): void;
  stop(): void;
  /** The process may end while this runs. */
  unref(): void;
  /** The process goes on as long as this runs: so it begins. */
  ref(): void;
  close(): void;
}
