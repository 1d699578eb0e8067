// Datagrams: the buffers of one recvmmsg(2) call, and what the kernel wrote about each datagram into them.

import { host32, putHost32, putPointer } from './bytes.js';
import type { Libc } from './libc.js';
import { MSG_TRUNC } from './uapi/netlink.js';

const SOCKADDR_NL = 12;
/** The kernel's port id. */
const KERNEL = 0;

/**
 * `slots` receive buffers of `slotSize` bytes and the mmsghdr, iovec and sockaddr_nl arrays that describe them to the kernel. The kernel
 * gets their addresses, so this object keeps all of them reachable; whoever starts a receive must keep this object.
 */
export class Datagrams {
  readonly slots: number;
  readonly slotSize: number;
  /** All slots, one after another. Never `subarray` it per datagram: use `start` and `length`. */
  readonly bytes: Uint8Array;
  /** struct mmsghdr[slots] */
  readonly headers: Uint8Array;
  readonly #iovecs: Uint8Array;
  readonly #senders: Uint8Array;
  readonly #headerSize: number;
  readonly #flagsAt: number;
  readonly #lengthAt: number;

  /** Omit `libc` for a transport that is not the kernel: `put` fills the slots. */
  constructor(slots: number, slotSize: number, libc?: Libc) {
    const p = libc?.pointerSize ?? 8;
    this.slots = slots;
    this.slotSize = slotSize;
    // struct msghdr: name, namelen (padded), iov, iovlen, control, controllen, flags (padded); then msg_len (padded).
    this.#headerSize = 8 * p;
    this.#flagsAt = 6 * p;
    this.#lengthAt = 7 * p;
    this.bytes = new Uint8Array(slots * slotSize);
    this.headers = new Uint8Array(slots * this.#headerSize);
    this.#iovecs = new Uint8Array(slots * 2 * p);
    this.#senders = new Uint8Array(slots * SOCKADDR_NL);
    if (!libc) return;
    const bytesAt = libc.address(this.bytes);
    const iovecsAt = libc.address(this.#iovecs);
    const sendersAt = libc.address(this.#senders);
    for (let i = 0; i < slots; i++) {
      const header = i * this.#headerSize;
      const iovec = i * 2 * p;
      putPointer(this.#iovecs, iovec, bytesAt + BigInt(i * slotSize), p);
      putPointer(this.#iovecs, iovec + p, BigInt(slotSize), p);
      putPointer(this.headers, header, sendersAt + BigInt(i * SOCKADDR_NL), p);
      putHost32(this.headers, header + p, SOCKADDR_NL);
      putPointer(this.headers, header + 2 * p, iovecsAt + BigInt(iovec), p);
      putPointer(this.headers, header + 3 * p, 1n, p);
    }
  }

  /** Does what the kernel does: fills in datagram `i`, truncated if it is too long. */
  put(i: number, datagram: Uint8Array): void {
    const header = i * this.#headerSize;
    const length = Math.min(datagram.length, this.slotSize);
    this.bytes.set(datagram.subarray(0, length), this.start(i));
    putHost32(this.headers, header + this.#lengthAt, length);
    putHost32(this.headers, header + this.#flagsAt, length < datagram.length ? MSG_TRUNC : 0);
    putHost32(this.#senders, i * SOCKADDR_NL + 4, KERNEL);
  }

  /** Where datagram `i` begins in `bytes`. */
  start(i: number): number {
    return i * this.slotSize;
  }

  /** How many bytes of datagram `i` were received. */
  length(i: number): number {
    return host32(this.headers, i * this.#headerSize + this.#lengthAt);
  }

  /** Whether datagram `i` was longer than its slot, so that its end is lost. */
  truncated(i: number): boolean {
    return (host32(this.headers, i * this.#headerSize + this.#flagsAt) & MSG_TRUNC) !== 0;
  }

  /** Whether datagram `i` came from the kernel. Any process may send to a netlink port; only port id 0 is the kernel. */
  fromKernel(i: number): boolean {
    return host32(this.#senders, i * SOCKADDR_NL + 4) === KERNEL;
  }
}
