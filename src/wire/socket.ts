// NetlinkSocket: a netlink descriptor with its lifetime. Knows datagrams, not messages.

import { ClosedError, SystemError } from '../errors.js';
import { host32, putHost16, putHost32, putPointer } from './bytes.js';
import { Datagrams } from './datagrams.js';
import { Descriptor } from './descriptor.js';
import { EAFNOSUPPORT, EINTR, EPERM, EPROTONOSUPPORT, errnoName, errnoReason } from './errno.js';
import { libc } from './ffi.js';
import type { DescriptorWatch, Libc } from './libc.js';
import type { OpenTransport, Transport, TransportOptions } from './transport.js';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_NETFILTER,
  SK_MEMINFO_DROPS,
  SK_MEMINFO_VARS,
  SO_ATTACH_FILTER,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './uapi/netlink.js';

const SOCKADDR_NL = 12;
/** struct sock_filter */
const BPF_INSTRUCTION = 8;

/** A bound netlink socket, of NETLINK_NETFILTER unless told otherwise. One dump at a time; keep requests, dumps and events on sockets of their own. */
export class NetlinkSocket implements Transport {
  /** The kernel's name for this socket, unsigned; the sender of our requests in events. */
  readonly portId: number;
  readonly #libc: Libc;
  readonly #descriptor: Descriptor;
  #watch: DescriptorWatch | undefined;

  private constructor(libc: Libc, fd: number, portId: number) {
    this.#libc = libc;
    this.#descriptor = new Descriptor(this, fd, libc.close);
    this.portId = portId;
  }

  /**
   * socket(2), bind(2), and extended acknowledgements without the echo of the request. @throws SystemError, PlatformError, NamespaceError
   */
  static open(options: TransportOptions = {}): NetlinkSocket {
    const c = libc();
    const create = () => c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, options.protocol ?? NETLINK_NETFILTER);
    const fd = options.namespace ? options.namespace.run(create) : create();
    if (fd < 0) throw systemError('socket', -fd);
    const address = new Uint8Array(SOCKADDR_NL);
    putHost16(address, 0, AF_NETLINK);
    putHost32(address, 8, options.groups ?? 0);
    const length = new Uint8Array(4);
    putHost32(length, 0, SOCKADDR_NL);
    if (options.receiveBuffer !== undefined) forceReceiveBuffer(c, fd, options.receiveBuffer);
    let failed = 'setsockopt';
    let result = options.filter ? attachFilter(c, fd, options.filter) : 0;
    if (result >= 0) {
      failed = 'bind';
      result = c.bind(fd, address, SOCKADDR_NL);
    }
    if (result >= 0) {
      failed = 'getsockname';
      result = c.getsockname(fd, address, length);
    }
    if (result < 0) {
      c.close(fd);
      throw systemError(failed, -result);
    }
    const socket = new NetlinkSocket(c, fd, host32(address, 4));
    // Newer kernels offer both; without them, answers are longer and carry no text.
    socket.#setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    socket.#setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    return socket;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return new Datagrams(slots, slotSize, this.#libc);
  }

  /** Never give `receive` a smaller buffer than before: the kernel sizes dump datagrams by the largest ever used (docs/kernel.md 1.8). */
  send(bytes: Uint8Array, length: number): void {
    const fd = this.#fd;
    let sent: number;
    do sent = this.#libc.send(fd, bytes, length, 0);
    while (sent === -EINTR);
    if (sent < 0) throw systemError('send', -sent);
  }

  /** As `send`, on a thread of the pool. `bytes` must not change until it settles. */
  async sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    const { sendAsync } = this.#libc;
    this.#check();
    const sent = await this.#descriptor.lend(async (fd) => {
      for (;;) {
        const result = await new Promise<number>((resolve) => sendAsync(fd, bytes, length, 0, resolve));
        if (result !== -EINTR) return result;
      }
    });
    if (sent < 0) throw systemError('send', -sent);
  }

  /**
   * Receives what is queued, without waiting: the answers to a request are queued when `send` returns.
   * @returns how many datagrams, or `-errno` (`-EAGAIN`: none)
   */
  receive(into: Datagrams): number {
    const fd = this.#fd;
    let count: number;
    do count = this.#libc.recvmmsg(fd, into.headers, into.slots, MSG_DONTWAIT);
    while (count === -EINTR);
    return count;
  }

  /** As `receive`, on a thread of the pool: the kernel fills the next part of a dump meanwhile. `into` is busy until it settles. */
  receiveAsync(into: Datagrams): Promise<number> {
    this.#check();
    const receive = (fd: number) =>
      new Promise<number>((resolve) => {
        const attempt = () =>
          this.#libc.recvmmsgAsync(fd, into.headers, into.slots, MSG_DONTWAIT, (count) =>
            count === -EINTR ? attempt() : resolve(count),
          );
        attempt();
      });
    return this.#descriptor.lend(receive);
  }

  /** Size of the receive buffer in bytes, as the kernel counts it: twice the requested size. */
  get receiveBuffer(): number {
    return this.#getOption(SOL_SOCKET, SO_RCVBUF);
  }

  /** Datagrams lost since the socket was opened because its receive buffer was full. Source: SO_MEMINFO, Linux 4.12. */
  get drops(): number {
    const fd = this.#fd;
    const info = new Uint8Array(4 * SK_MEMINFO_VARS);
    const length = new Uint8Array(4);
    putHost32(length, 0, info.length);
    const result = this.#libc.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, length);
    if (result < 0) throw systemError('getsockopt', -result);
    return host32(info, 4 * SK_MEMINFO_DROPS);
  }

  /** Calls `ready` from the event loop while datagrams or an error are waiting: see `Libc.watch`. The socket closes the watch. */
  watch(ready: (status: number) => void): DescriptorWatch {
    const fd = this.#fd;
    if (this.#watch) throw new ClosedError('the netlink socket is watched already');
    this.#watch = this.#libc.watch(fd, 'readable', ready);
    return this.#watch;
  }

  /** Idempotent. This abandons a dump that is still running. */
  close(): void {
    this.#watch?.close(); // before its descriptor, or libuv aborts the process
    this.#watch = undefined;
    this.#descriptor.close();
  }

  #setOption(level: number, name: number, value: number): number {
    const bytes = new Uint8Array(4);
    putHost32(bytes, 0, value);
    return this.#libc.setsockopt(this.#fd, level, name, bytes, 4);
  }

  #getOption(level: number, name: number): number {
    const bytes = new Uint8Array(4);
    const length = new Uint8Array(4);
    putHost32(length, 0, 4);
    const result = this.#libc.getsockopt(this.#fd, level, name, bytes, length);
    if (result < 0) throw systemError('getsockopt', -result);
    return host32(bytes, 0);
  }

  /** @throws ClosedError */
  get #fd(): number {
    this.#check();
    return this.#descriptor.number;
  }

  #check(): void {
    if (this.#descriptor.closed) throw new ClosedError('the netlink socket is closed');
  }
}

/** Whether a transport talks to the kernel of this machine, rather than to a substitute. */
export function asksKernel(open: OpenTransport): boolean {
  return open === NetlinkSocket.open || (open.over !== undefined && asksKernel(open.over));
}

/** Exceeds the system's limit if that is permitted. */
function forceReceiveBuffer(c: Libc, fd: number, bytes: number): void {
  const value = new Uint8Array(4);
  putHost32(value, 0, bytes);
  if (c.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4) < 0) c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, 4);
}

/** SO_ATTACH_FILTER with a struct sock_fprog. The kernel copies the program. */
function attachFilter(c: Libc, fd: number, program: Uint8Array): number {
  const pointer = c.pointerSize;
  const value = new Uint8Array(2 * pointer);
  putHost16(value, 0, program.length / BPF_INSTRUCTION);
  putPointer(value, pointer, c.address(program), pointer);
  return c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, value.length);
}

function systemError(syscall: string, errno: number): SystemError {
  let hint: string | undefined;
  if (errno === EPERM) hint = 'needs root or the capability CAP_NET_ADMIN';
  if (errno === EPROTONOSUPPORT || errno === EAFNOSUPPORT)
    hint = 'this kernel has no netfilter netlink: load the module nf_conntrack_netlink';
  return new SystemError(syscall, errno, errnoName(errno), errnoReason(errno), { hint });
}
