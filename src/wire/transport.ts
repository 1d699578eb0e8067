// Transport: what carries datagrams to the kernel and back. NetlinkSocket is the real one; replays (src/testing) and transports that
// inject faults replace it. Knows datagrams, not messages.

import type { Datagrams } from './datagrams.js';
import type { DescriptorWatch } from './libc.js';
import type { NetworkNamespace } from './netns.js';

/** How a transport is set up. */
export interface TransportOptions {
  /** The netlink family, such as NETLINK_ROUTE. Default NETLINK_NETFILTER. */
  readonly protocol?: number | undefined;
  /** Multicast groups to join when binding: bit `group - 1`. Default none. */
  readonly groups?: number | undefined;
  /** A classic BPF program of 8-byte instructions that sees every datagram first. It takes effect before a group is joined. */
  readonly filter?: Uint8Array | undefined;
  /** Size of the receive buffer to request, in bytes. It takes effect before a group is joined. */
  readonly receiveBuffer?: number | undefined;
  /** The namespace in which to open it. Default: that of the process. */
  readonly namespace?: NetworkNamespace | undefined;
}

/** Opens a transport, such as `NetlinkSocket.open`. A `Conntrack` opens several, as it needs them. */
export interface OpenTransport {
  (options: TransportOptions): Transport;
  /** The transport to which it passes everything, unchanged, and from which it receives. */
  readonly over?: OpenTransport;
}

/** The connection to the kernel. If a request or a datagram fails, the result is a negative errno, as inside the kernel. */
export interface Transport {
  /** The kernel's name for this side, unsigned; the sender of our requests in events. */
  readonly portId: number;
  /** Size of the receive buffer in bytes, as the kernel counts it. */
  readonly receiveBuffer: number;
  /** Datagrams lost so far because the receive buffer was full. */
  readonly drops: number;
  /** Buffers for `receive`. */
  createDatagrams(slots: number, slotSize: number): Datagrams;
  /** Sends one datagram: `bytes` up to `length`. Its answers are there when this returns. @throws SystemError */
  send(bytes: Uint8Array, length: number): void;
  /** As `send`, without blocking the thread. `bytes` must not change until the promise settles. */
  sendAsync(bytes: Uint8Array, length: number): Promise<void>;
  /**
   * Receives what has arrived, without waiting. @returns how many datagrams, or `-errno` (`-EAGAIN`: none; `-ENOBUFS`: some were lost)
   */
  receive(into: Datagrams): number;
  /** As `receive`, without blocking the thread. `into` is busy until the promise settles. */
  receiveAsync(into: Datagrams): Promise<number>;
  /** Calls `ready` from the event loop while datagrams or an error are waiting: see `Libc.watch`. Ends with the transport. */
  watch(ready: (status: number) => void): DescriptorWatch;
  /** Idempotent. */
  close(): void;
}
