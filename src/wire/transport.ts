// Transport: what carries datagrams to the kernel and back. NetlinkSocket is the real one; a replay (src/testing) or one that
// injects faults stands in for it. Knows datagrams, not messages.

import type { Datagrams } from './datagrams.js';
import type { DescriptorWatch } from './libc.js';
import type { NetworkNamespace } from './netns.js';

/** How a transport is set up. */
export interface TransportOptions {
  /** Multicast groups to join when binding: bit `group - 1`. Default none. */
  readonly groups?: number | undefined;
  /** A classic BPF program of 8-byte instructions that sees every datagram first. In force before a group is joined. */
  readonly filter?: Uint8Array | undefined;
  /** Bytes to ask for as receive buffer. In force before a group is joined. */
  readonly receiveBuffer?: number | undefined;
  /** Where to open it. Default: the namespace that the process is in. */
  readonly namespace?: NetworkNamespace | undefined;
}

/** Opens a transport, such as `NetlinkSocket.open`. A table opens several, as it needs them. */
export interface OpenTransport {
  (options: TransportOptions): Transport;
  /** What it passes everything to and takes everything from, unchanged. */
  readonly over?: OpenTransport;
}

/** Between this side and the kernel. What goes wrong with a request or a datagram is a negative errno, as inside the kernel. */
export interface Transport {
  /** The kernel's name for this side, unsigned; the sender of our requests in events. */
  readonly portId: number;
  /** Bytes in the receive buffer, as the kernel counts them. */
  readonly receiveBuffer: number;
  /** Datagrams lost until now because the receive buffer was full. */
  readonly drops: number;
  /** Buffers for `receive`. */
  createDatagrams(slots: number, slotSize: number): Datagrams;
  /** Sends one datagram: `bytes` up to `length`. Its answers are there when this returns. @throws SystemError */
  send(bytes: Uint8Array, length: number): void;
  /** As `send`, without keeping the thread. `bytes` stays as it is until it settles. */
  sendAsync(bytes: Uint8Array, length: number): Promise<void>;
  /** Takes what is there, without waiting. @returns how many datagrams, or `-errno` (`-EAGAIN`: none; `-ENOBUFS`: some were lost) */
  receive(into: Datagrams): number;
  /** As `receive`, without keeping the thread. `into` is busy until it settles. */
  receiveAsync(into: Datagrams): Promise<number>;
  /** Calls `ready` from the event loop while datagrams or an error are waiting: see `Libc.watch`. Ends with the transport. */
  watch(ready: (status: number) => void): DescriptorWatch;
  /** Idempotent. */
  close(): void;
}
