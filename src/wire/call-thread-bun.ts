// The program of a thread that makes calls which may take long: send(2) and recvmmsg(2), one at a time. Only in the standalone executable.

import { dlopen, read } from 'bun:ffi';
import { parentPort } from 'node:worker_threads';
import type { ThreadCall } from './call-threads-bun.js';
import { SYMBOLS } from './ffi-bun.js';

const { send, recvmmsg, __errno_location } = SYMBOLS;
const c = dlopen('libc.so.6', { send, recvmmsg, __errno_location }).symbols;

parentPort!.on('message', ({ name, fd, address, count, flags }: ThreadCall) => {
  const value = name === 'send' ? Number(c.send(fd, address, count, flags)) : c.recvmmsg(fd, address, count, flags, null);
  parentPort!.postMessage(value < 0 ? -read.i32(c.__errno_location(), 0) : value);
});
