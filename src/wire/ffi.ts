// The only import of koffi: the libc calls a netlink client needs, each returning its result or the negative errno.

import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { PlatformError, SystemError } from '../errors.js';
import { EIO, EMFILE, errnoName, errnoReason } from './errno.js';
import type { Libc } from './libc.js';
import { requireLinux } from './platform.js';
import { watchByLooking } from './watch-by-looking.js';

// koffi declares its functions as `any`-typed callables; this is the shape this file relies on.
type Foreign = ((...args: unknown[]) => number) & { async(...args: unknown[]): void };
interface Koffi {
  load(path: string | null): { func(prototype: string): Foreign };
  errno(): number;
  node: { poll(fd: number, events: object, callback: (status: number) => void): KoffiPoll };
  address(bytes: Uint8Array): bigint | number;
  sizeof(type: string): number;
}

interface KoffiPoll {
  start(events: object, callback: (status: number) => void): void;
  stop(): void;
  unref(): void;
  ref(): void;
  close(): void;
}

let loaded: Libc | undefined;

/** libc; loaded at the first call, so that a usage error or `--help` never pays for it. @throws PlatformError */
export function libc(): Libc {
  if (!loaded) {
    requireLinux();
    loaded = declare(loadKoffi());
  }
  return loaded;
}

/**
 * The native part of koffi. Opening its file directly takes about 1 ms; the package's own loader, which examines the executable first,
 * takes 12 ms. It remains the fallback for platforms and layouts unknown here (docs/kernel.md 8.2).
 */
function loadKoffi(): Koffi {
  const module = { exports: {} as Koffi };
  let noDescriptor = false;
  let forbidden = false;
  for (const flavour of ['linux', 'musl'])
    for (const folder of MODULE_FOLDERS)
      try {
        process.dlopen(module, `${HERE}/${folder}/@koromix/koffi-linux-${process.arch}/${flavour}_${process.arch}/koffi.node`);
        return module.exports;
      } catch (error) {
        // Missing, or for another C library: try the next place.
        noDescriptor ||= /too many open files/i.test(String(error));
        forbidden ||= (error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED';
      }
  try {
    return makeRequire()('koffi') as Koffi;
  } catch (cause) {
    if (noDescriptor) throw new SystemError('dlopen', EMFILE, errnoName(EMFILE), errnoReason(EMFILE));
    if (forbidden)
      throw new PlatformError('Node.js has been told not to load native code, which talking to the kernel needs', {
        cause,
        hint: 'take --no-addons (or the permission model) out of NODE_OPTIONS and the command line of node',
      });
    throw new PlatformError(`cannot load the native library interface (koffi) on ${process.platform}-${process.arch}`, {
      cause,
      hint: 'run "npm install" again with optional dependencies enabled; koffi ships binaries for Linux on x64, arm64, arm, ia32, riscv64, loong64 and ppc64',
    });
  }
}

/** asm-generic/fcntl.h, on all machines that koffi supports. */
const O_CLOEXEC = 0o2000000;

/**
 * If a program has bundled this file as CommonJS, `import.meta` is empty and these exist instead. They can also exist elsewhere, with
 * another meaning: in `node -e`, in the REPL, and in workers made from a string.
 */
declare const __dirname: string;
declare const require: NodeJS.Require;

/** The folder of this file. Node.js before 20.11 does not know `import.meta.dirname`; a URL takes half a millisecond. */
const HERE = import.meta.dirname ?? (import.meta.url ? fileURLToPath(new URL('.', import.meta.url)) : __dirname);

function makeRequire(): NodeJS.Require {
  return import.meta.url ? createRequire(import.meta.url) : require;
}

/**
 * Where node_modules is, relative to this file: from dist/ (the bundled command) and from dist/wire/ (the library), with koffi inside
 * this package, or next to it.
 */
const MODULE_FOLDERS = ['../node_modules', '../..', '../../node_modules', '../../..'];

/** Whether this is a worker thread, where Node.js puts a stub here. node:worker_threads would say so too, but takes 2 ms to load. */
const IN_WORKER = 'disabled' in process.chdir;

function declare(koffi: Koffi): Libc {
  const c = koffi.load(null);
  const result = (value: number) => (value < 0 ? -koffi.errno() : value);
  const socket = c.func('int socket(int domain, int type, int protocol)');
  const bind = c.func('int bind(int fd, void *address, uint32_t length)');
  const getsockname = c.func('int getsockname(int fd, void *address, void *length)');
  const setsockopt = c.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
  const getsockopt = c.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const send = c.func('intptr_t send(int fd, void *bytes, size_t length, int flags)');
  const recvmmsg = c.func('int recvmmsg(int fd, void *headers, unsigned int count, int flags, void *timeout)');
  const close = c.func('int close(int fd)');
  const plain = {
    socket: (domain: number, type: number, protocol: number) => result(socket(domain, type, protocol)),
    close: (fd: number) => result(close(fd)),
  };
  // Declaring a function takes time at each start, and few commands need these.
  const poll = later(() => c.func('int poll(void *requests, unsigned long count, int timeout)'));
  const pollNow = (request: Uint8Array) => result(poll()(request, 1, 0));
  const dup3 = later(() => c.func('int dup3(int from, int to, int flags)'));
  const connect = later(() => c.func('int connect(int fd, void *address, uint32_t length)'));
  const adjtimex = later(() => c.func('int adjtimex(void *timex)'));
  const setns = later(() => c.func('int setns(int fd, int type)'));
  const mallopt = later(() => {
    try {
      return c.func('int mallopt(int parameter, int value)');
    } catch {
      return () => 0; // musl has none
    }
  });
  const exit = later(() => c.func('void _exit(int status)'));
  return {
    ...(IN_WORKER ? endedWithThread(plain, (from, to) => result(dup3()(from, to, O_CLOEXEC))) : plain),
    bind: (fd, address, length) => result(bind(fd, address, length)),
    connect: (fd, address, length) => result(connect()(fd, address, length)),
    getsockname: (fd, address, length) => result(getsockname(fd, address, length)),
    setsockopt: (fd, level, name, value, length) => result(setsockopt(fd, level, name, value, length)),
    getsockopt: (fd, level, name, value, length) => result(getsockopt(fd, level, name, value, length)),
    send: (fd, bytes, length, flags) => result(send(fd, bytes, length, flags)),
    sendAsync: (fd, bytes, length, flags, done) =>
      send.async(fd, bytes, length, flags, (_: unknown, value: number) => done(result(value))),
    recvmmsg: (fd, headers, count, flags) => result(recvmmsg(fd, headers, count, flags, null)),
    recvmmsgAsync: (fd, headers, count, flags, done) =>
      recvmmsg.async(fd, headers, count, flags, null, (_: unknown, value: number) => done(result(value))),
    pollNow,
    // Bun ends the process when koffi asks it for uv_poll_init_socket.
    watch:
      IN_WORKER || process.versions['bun'] !== undefined
        ? (fd, direction, ready) => watchByLooking(pollNow, fd, direction, ready)
        : watchByEventLoop(koffi),
    adjtimex: (timex) => result(adjtimex()(timex)),
    setns: (fd, type) => result(setns()(fd, type)),
    exit: (status) => void exit()(status),
    mallopt: (parameter, value) => mallopt()(parameter, value) === 1,
    address: (bytes) => BigInt(koffi.address(bytes)),
    pointerSize: koffi.sizeof('void *'),
  };
}

/**
 * koffi ends the process if it calls back when JavaScript can no longer run, which happens if a thread ends while there is something to
 * read. So all watches are stopped right before that. A worker thread may be terminated without notice, so workers do not use this.
 */
function watchByEventLoop(koffi: Koffi): Libc['watch'] {
  const open = new Set<KoffiPoll>();
  let atExit = false;
  return (fd, direction, ready) => {
    const events = { [direction]: true };
    const handle = koffi.node.poll(fd, events, ready);
    open.add(handle);
    if (!atExit)
      process.once('exit', () => {
        for (const handle of open) handle.stop();
      });
    atExit = true;
    return {
      start: () => handle.start(events, ready),
      stop: () => handle.stop(),
      unref: () => handle.unref(),
      ref: () => handle.ref(),
      close: () => {
        open.delete(handle);
        handle.close();
      },
    };
  };
}

type Sockets = Pick<Libc, 'socket' | 'close'>;

/**
 * Sockets that Node.js closes when the worker thread ends, however it ends. Node.js does that for files that node:fs has opened in the
 * worker, so each socket takes over the descriptor of such a file.
 */
function endedWithThread({ socket, close }: Sockets, dup3: (from: number, to: number) => number): Sockets {
  return {
    socket: (...which) => {
      const fd = resultOf(() => openSync('/', 'r'));
      if (fd < 0) return fd;
      const made = socket(...which);
      const moved = made < 0 ? made : dup3(made, fd);
      if (made >= 0) close(made);
      if (moved < 0) closeSync(fd);
      return moved;
    },
    close: (fd) =>
      resultOf(() => {
        closeSync(fd);
        return 0;
      }),
  };
}

/** What a function of node:fs returns, or `-errno`. */
function resultOf(call: () => number): number {
  try {
    return call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? -EIO;
  }
}

/** Creates something at its first use. */
function later<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
