// libc through Bun's own foreign function interface, in place of ffi.ts in the standalone executable (scripts/build-exe.mjs). It offers
// neither calls on other threads, which call-threads-bun.ts makes up for, nor a way to watch descriptors, which are polled.

import { dlopen, ptr, read } from 'bun:ffi';
import type { ThreadCall } from './call-threads-bun.js';
import type { Libc } from './libc.js';
import { watchByLooking } from './watch-by-looking.js';

/** Functions of libc, as Bun is told of them. */
export const SYMBOLS = {
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  adjtimex: { args: ['ptr'], returns: 'i32' },
  getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
  setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
  getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
  send: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i64_fast' },
  recvmmsg: { args: ['i32', 'ptr', 'u32', 'i32', 'ptr'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  poll: { args: ['ptr', 'u64', 'i32'], returns: 'i32' },
  setns: { args: ['i32', 'i32'], returns: 'i32' },
  _exit: { args: ['i32'], returns: 'void' },
  __errno_location: { args: [], returns: 'ptr' },
} as const;

let loaded: Libc | undefined;

/** libc; loaded at the first call. */
export function libc(): Libc {
  loaded ??= declare();
  return loaded;
}

function declare(): Libc {
  const c = dlopen('libc.so.6', SYMBOLS).symbols;
  const result = (value: number) => (value < 0 ? -read.i32(c.__errno_location(), 0) : value);
  const pollNow = (request: Uint8Array) => result(c.poll(request, 1, 0));
  return {
    socket: (domain, type, protocol) => result(c.socket(domain, type, protocol)),
    bind: (fd, address, length) => result(c.bind(fd, address, length)),
    connect: (fd, address, length) => result(c.connect(fd, address, length)),
    getsockname: (fd, address, length) => result(c.getsockname(fd, address, length)),
    setsockopt: (fd, level, name, value, length) => result(c.setsockopt(fd, level, name, value, length)),
    getsockopt: (fd, level, name, value, length) => result(c.getsockopt(fd, level, name, value, length)),
    send: (fd, bytes, length, flags) => result(Number(c.send(fd, bytes, length, flags))),
    sendAsync: (fd, bytes, length, flags, done) =>
      onThread({ name: 'send', fd, address: ptr(bytes), count: length, flags }, done),
    recvmmsg: (fd, headers, count, flags) => result(c.recvmmsg(fd, headers, count, flags, null)),
    recvmmsgAsync: (fd, headers, count, flags, done) =>
      onThread({ name: 'recvmmsg', fd, address: ptr(headers), count, flags }, done),
    close: (fd) => result(c.close(fd)),
    pollNow,
    watch: (fd, direction, ready) => watchByLooking(pollNow, fd, direction, ready),
    adjtimex: (timex) => result(c.adjtimex(timex)),
    setns: (fd, type) => result(c.setns(fd, type)),
    exit: (status) => c._exit(status),
    address: (bytes) => BigInt(ptr(bytes)),
    pointerSize: 8,
  };
}

/** Short commands need no thread, and do not load what makes one. */
function onThread(call: ThreadCall, done: (result: number) => void): void {
  import('./call-threads-bun.js').then(({ callOnThread }) => callOnThread(call, done));
}
