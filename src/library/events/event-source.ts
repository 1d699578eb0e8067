// EventSource: a socket that listens to the kernel's events, read until empty whenever something arrives. It says what was lost.

import {
  NF_NETLINK_CONNTRACK_DESTROY,
  NF_NETLINK_CONNTRACK_EXP_DESTROY,
  NF_NETLINK_CONNTRACK_EXP_NEW,
  NF_NETLINK_CONNTRACK_NEW,
  NF_NETLINK_CONNTRACK_UPDATE,
} from '../../ctnetlink/uapi/nf-conntrack-common.js';
import { DecodeError, SystemError } from '../../errors.js';
import { host16 } from '../../wire/bytes.js';
import type { Datagrams } from '../../wire/datagrams.js';
import { EAGAIN, ENOBUFS, ENOMEM, errnoName, errnoReason } from '../../wire/errno.js';
import type { DescriptorWatch } from '../../wire/libc.js';
import { align4, checkedMessageLength } from '../../wire/message.js';
import type { NetworkNamespace } from '../../wire/netns.js';
import { NetlinkSocket } from '../../wire/socket.js';
import type { OpenTransport, Transport } from '../../wire/transport.js';
import { NLMSG_HDRLEN, NLMSG_MIN_TYPE } from '../../wire/uapi/netlink.js';

/** Multicast groups of flows. Source: docs/kernel.md 2.4. */
export const ALL_FLOW_EVENTS = NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY;
/** Groups of expectations; the kernel sends no updates of them. */
export const ALL_EXPECTATION_EVENTS = NF_NETLINK_CONNTRACK_EXP_NEW | NF_NETLINK_CONNTRACK_EXP_DESTROY;

/** Room for some 25,000 events; the kernel takes memory only for those that wait. */
const DEFAULT_BUFFER = 16 * 1024 * 1024;
/** Every event is a datagram of its own, far smaller than this unless a security context is very long. */
const SLOT_SIZE = 8192;
const SLOTS = 64;
/** Milliseconds of events before others get their turn. */
const TURN = 4;
/** The least that a waiting event takes in the receive buffer: the kernel's own structure and the smallest allocation. */
const LEAST_CHARGE = 512;

/** Events that follow each other within this time, in milliseconds, are read together, unless the caller has another. */
const REST = 4;

/** An overrun of the receive buffer: the kernel dropped events until everything that waited was read. */
export interface EventLoss {
  /** Events lost in this overrun. */
  readonly events: number;
  /** When it was noticed, in milliseconds since the epoch. */
  readonly at: number;
}

/** What a source calls. An exception here ends the source and goes to `failed`. */
export interface EventVisitor {
  /** The next messages arrived together: a good moment to look at the clock. */
  readonly beginBatch?: () => void;
  /** Events have been lost, as `lost` will report; those that were waiting before them come first. */
  readonly overrun?: () => void;
  /** One message, borrowed: from `at` to `end` in `bytes`. */
  readonly message: (bytes: Uint8Array, at: number, end: number) => void;
  /** The queue is empty: a good moment to flush. */
  readonly idle?: () => void;
  /** Called when the queue is empty after the loss. */
  readonly lost: (loss: EventLoss) => void;
  /** Nothing more will arrive. */
  readonly failed: (error: unknown) => void;
}

/** How a source is opened. */
export interface EventSourceOptions {
  /** Multicast groups. */
  readonly groups: number;
  /** Size of the receive buffer to request, in bytes; the kernel doubles it. Default 16 MiB, or what the system permits. */
  readonly receiveBuffer?: number | undefined;
  readonly namespace?: NetworkNamespace | undefined;
  /** Events that follow each other within this time, in milliseconds, are read together. Default 4. */
  readonly rest?: number | undefined;
  /** A socket filter: see eventProgram. It saves work: where the kernel has no memory for it, the socket has none. */
  readonly filter?: Uint8Array | undefined;
  /** Default: a netlink socket. */
  readonly transport?: OpenTransport | undefined;
}

export class EventSource {
  readonly #socket: Transport;
  readonly #datagrams: Datagrams;
  #visitor: EventVisitor | undefined;
  #watch: DescriptorWatch | undefined;
  #paused = false;
  #rest: NodeJS.Timeout | undefined;
  /** A turn ended before the queue was found empty. */
  #unfinished = false;
  #goOn: NodeJS.Timeout | undefined;
  readonly #pause: number;
  /** Whether the process goes on as long as this runs. */
  #keeps = true;
  /** When the watch called last, in milliseconds. */
  #woke = 0;
  #overrun = false;
  #drops = 0;
  /** How often something was received. */
  #received = 0;

  private constructor(socket: Transport, rest: number) {
    this.#socket = socket;
    this.#pause = rest;
    this.#datagrams = socket.createDatagrams(SLOTS, SLOT_SIZE);
  }

  /** Listens from now on; until `start`, events wait in the buffer. @throws SystemError, PlatformError */
  static open(options: EventSourceOptions): EventSource {
    const { groups, filter, namespace, transport = NetlinkSocket.open, rest = REST } = options;
    const receiveBuffer = options.receiveBuffer ?? DEFAULT_BUFFER;
    const open = (filter: Uint8Array | undefined) =>
      new EventSource(transport({ groups, filter, receiveBuffer, namespace }), rest);
    try {
      return open(filter);
    } catch (error) {
      if (!filter || !(error instanceof SystemError) || error.errno !== ENOMEM) throw error;
      return open(undefined);
    }
  }

  /** Size of the receive buffer in bytes, as the kernel counts it. */
  get receiveBuffer(): number {
    return this.#socket.receiveBuffer;
  }

  /** Calls `visitor` from the event loop until `close`. @throws SystemError, PlatformError when that cannot be; then it is closed */
  start(visitor: EventVisitor): void {
    try {
      this.#watch = this.#socket.watch((status) => this.#wake(status));
    } catch (error) {
      this.close();
      throw error;
    }
    this.#visitor = visitor;
    if (!this.#keeps) this.#watch.unref();
  }

  /** The process may end while this runs. */
  unref(): void {
    this.#keeps = false;
    this.#watch?.unref();
    this.#rest?.unref();
    this.#goOn?.unref();
  }

  /** Undoes `unref`. */
  ref(): void {
    this.#keeps = true;
    this.#watch?.ref();
    this.#rest?.ref();
    this.#goOn?.ref();
  }

  #wake(status: number): void {
    const now = performance.now();
    const busy = now - this.#woke < this.#pause;
    this.#woke = now;
    const empty = this.#guardedDrain(TURN);
    if (!this.#visitor || this.#paused) return;
    if (busy && empty) {
      // Waking up for each event costs more than the event.
      this.#watch?.stop();
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => this.#look(), this.#pause);
      if (!this.#keeps) this.#rest.unref();
    } else if (status < 0) this.#watch?.start(); // an error pending has stopped it
  }

  /** What is left calls by the watch at once. If nothing is, somebody has yet to find that out, and to say so. */
  #goOnSoon(): void {
    clearTimeout(this.#goOn);
    this.#goOn = setTimeout(() => {
      if (this.#unfinished) this.#wake(0);
    }, TURN);
    if (!this.#keeps) this.#goOn.unref();
  }

  /** Reads what has arrived while the watch was stopped, and goes on like this until nothing has. */
  #look(): void {
    const before = this.#received;
    const empty = this.#guardedDrain(TURN);
    if (!this.#visitor || this.#paused) return;
    // The last of several receives found nothing.
    if (empty && this.#received > before + 1) {
      this.#rest?.refresh();
      return;
    }
    this.#rest = undefined;
    this.#watch?.start();
  }

  /** Reads no more until `resume`: the kernel keeps what arrives as long as there is room. */
  pause(): void {
    if (this.#paused || !this.#visitor) return;
    this.#paused = true;
    clearTimeout(this.#rest);
    this.#watch?.stop();
  }

  resume(): void {
    if (!this.#paused || !this.#visitor) return;
    this.#paused = false;
    this.#watch?.start();
    // The watch calls when something waits. What is told when nothing does may have been put off by the pause.
    if (this.#overrun || this.#unfinished) setImmediate(() => this.#wake(0));
  }

  /**
   * Reads everything sent by now, without waiting for the event loop. Events sent meanwhile may remain: no more than the buffer holds can
   * have been waiting, so even a flood does not hold up the caller.
   * @returns false when paused or closed: then something may be left
   */
  drain(): boolean {
    if (this.#visitor) this.#guardedDrain(Number.POSITIVE_INFINITY, this.#allSentByNow);
    return this.#visitor !== undefined && !this.#paused;
  }

  /** The same, but no longer than so many milliseconds. @returns whether nothing is left of what was sent before the call */
  drainFor(milliseconds: number): boolean {
    return this.#visitor !== undefined && this.#guardedDrain(milliseconds, this.#allSentByNow);
  }

  /** The same in turns of the event loop, in which others are answered. Settles early when paused or closed. */
  async drainInTurns(): Promise<void> {
    const end = this.#allSentByNow;
    while (this.#visitor && !this.#paused && !this.#guardedDrain(TURN, end))
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
  }

  /** When so often something was received, nothing is left of what was sent by now. */
  get #allSentByNow(): number {
    return this.#received + Math.ceil(Math.max(this.receiveBuffer, DEFAULT_BUFFER) / LEAST_CHARGE / SLOTS);
  }

  /** @returns whether nothing is left, or so often something was received */
  #guardedDrain(milliseconds: number, end = Number.POSITIVE_INFINITY): boolean {
    try {
      return this.#drain(milliseconds, end);
    } catch (error) {
      const visitor = this.#visitor;
      this.close();
      visitor?.failed(error);
      return true;
    }
  }

  /** Idempotent; may be called from a visitor. */
  close(): void {
    this.#visitor = undefined;
    this.#watch = undefined;
    clearTimeout(this.#rest);
    clearTimeout(this.#goOn);
    this.#socket.close();
  }

  #drain(milliseconds: number, end: number): boolean {
    const datagrams = this.#datagrams;
    const until = performance.now() + milliseconds;
    while (this.#received < end) {
      const visitor = this.#visitor;
      if (!visitor || this.#paused) return false;
      const count = this.#socket.receive(datagrams);
      this.#received++;
      if (count === -EAGAIN) {
        this.#unfinished = false;
        if (this.#overrun) this.#reportLoss(visitor);
        visitor.idle?.();
        return true;
      }
      if (count === -ENOBUFS) {
        this.#overrun = true; // told once, before what is still waiting
        visitor.overrun?.();
        continue;
      }
      if (count < 0) throw new SystemError('recvmmsg', -count, errnoName(-count), errnoReason(-count));
      visitor.beginBatch?.();
      for (let i = 0; i < count; i++) {
        if (!datagrams.fromKernel(i)) continue;
        const start = datagrams.start(i);
        if (datagrams.truncated(i)) throw new DecodeError(`an event is longer than ${SLOT_SIZE} bytes`, start);
        walk(datagrams.bytes, start, start + datagrams.length(i), visitor);
        if (this.#visitor !== visitor) return false; // closed from within
      }
      if (performance.now() >= until) {
        this.#unfinished = true;
        this.#goOnSoon();
        return false;
      }
    }
    return true;
  }

  /** Reports losses not reported yet, without waiting for the queue to be empty. For the end of a watch. */
  reportLoss(): void {
    if (this.#visitor) this.#reportLoss(this.#visitor);
  }

  #reportLoss(visitor: EventVisitor): void {
    this.#overrun = false;
    const { drops } = this.#socket;
    const events = (drops - this.#drops) >>> 0;
    this.#drops = drops;
    // None: they were counted with the previous loss, which was reported after this one had begun.
    if (events > 0) visitor.lost({ events, at: Date.now() });
  }
}

function walk(bytes: Uint8Array, at: number, end: number, visitor: EventVisitor): void {
  while (at + NLMSG_HDRLEN <= end) {
    const length = checkedMessageLength(bytes, at, end, 'event');
    if (host16(bytes, at + 4) >= NLMSG_MIN_TYPE) visitor.message(bytes, at, at + length);
    at += align4(length);
  }
}
