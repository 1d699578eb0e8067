// TCP sockets of private namespaces in this process: they belong to the namespace in which they were made, wherever they are used.

import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
import koffi from 'koffi';
import { AF_INET, AF_INET6, addressBytes, libc, SOCK_CLOEXEC } from './libc.js';
import type { Namespace } from './namespace.js';

const SOCK_STREAM = 1;
const CLONE_NEWNET = 0x4000_0000;

interface Calls {
  setns(fd: number, type: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  listen(fd: number, backlog: number): number;
}

let loaded: Calls | undefined;
function calls(): Calls {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  const checked = (prototype: string) => {
    const call = library.func(prototype);
    return (...args: unknown[]): number => {
      const result: number = call(...args);
      if (result < 0) throw new Error(`${call.info.name}: errno ${koffi.errno()}`);
      return result;
    };
  };
  loaded = {
    setns: checked('int setns(int fd, int type)'),
    connect: checked('int connect(int fd, void *address, uint32_t length)'),
    listen: checked('int listen(int fd, int backlog)'),
  };
  return loaded;
}

/** Does something on this thread in the namespace, and comes back. It must not wait. */
function inside<T>(namespace: Namespace, run: () => T): T {
  const own = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/proc/${namespace.pid}/ns/net`, 'r');
  try {
    calls().setns(there, CLONE_NEWNET);
    try {
      return run();
    } finally {
      calls().setns(own, CLONE_NEWNET);
    }
  } finally {
    closeSync(there);
    closeSync(own);
  }
}

/** A descriptor of a new socket there. */
function open(namespace: Namespace, address: string): number {
  return inside(namespace, () => libc().socket(address.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/** Connects to a server in a namespace. @throws Error if it refuses */
export function connectIn(namespace: Namespace, address: string, port: number): net.Socket {
  const fd = open(namespace, address);
  const to = socketAddress(address, port);
  try {
    calls().connect(fd, to, to.length);
  } catch (error) {
    libc().close(fd);
    throw error;
  }
  return new net.Socket({ fd, readable: true, writable: true });
}

/** A descriptor that listens in a namespace, as a service manager would pass it. */
export function listenIn(namespace: Namespace, address: string, port: number): number {
  const fd = open(namespace, address);
  const at = socketAddress(address, port);
  libc().bind(fd, at, at.length);
  calls().listen(fd, 128);
  return fd;
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(address: string, port: number): Buffer {
  const bytes = addressBytes(address);
  const head = Buffer.alloc(4);
  head.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6);
  head.writeUInt16BE(port, 2);
  return bytes.length === 4
    ? Buffer.concat([head, bytes, Buffer.alloc(8)])
    : Buffer.concat([head, Buffer.alloc(4), bytes, Buffer.alloc(4)]);
}

/** The answer of an HTTP server on loopback of a namespace, with its head. */
export function getIn(namespace: Namespace, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectIn(namespace, '127.0.0.1', port);
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.once('end', () => resolve(text));
    socket.once('error', reject);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  });
}
