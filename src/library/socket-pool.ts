// SocketPool: the sockets of one network namespace. Whatever is under way has one of its own, so that several things may be under way.

import { ClosedError, KernelError } from '../errors.js';
import type { VisitMessage } from '../wire/answers.js';
import type { DumpVisitor } from '../wire/dump.js';
import { NetworkNamespace } from '../wire/netns.js';
import { NetlinkSocket } from '../wire/socket.js';
import type { OpenTransport } from '../wire/transport.js';
import { type Build, Channel, type RequestExtra } from './channel.js';
import type { RequestRow } from './requests.js';

/** How a table is opened. */
export interface ConntrackOptions {
  /**
   * The network namespace: a name of `ip netns`, a path (with a `/`), the id of a process in it, or one that is open (and stays
   * the caller's to close). Digits are a process id unless there is such a name. Default: the one the process is in. The process
   * stays where it is. Needs CAP_SYS_ADMIN. Matches `--netns`.
   */
  readonly netns?: string | number | NetworkNamespace | undefined;
  /** What carries datagrams to the kernel; something that stands in for it, such as `Replay` of `conntrack/testing`. */
  readonly transport?: OpenTransport | undefined;
}

/** Where sockets are opened. */
export interface SocketPlace {
  readonly namespace: NetworkNamespace | undefined;
  readonly transport: OpenTransport;
}

/** Sockets kept open for what comes next: two dumps and a change. */
const IDLE_KEPT = 3;

/** Opens sockets as they are needed, all of them in the same namespace, and keeps some for what comes next. */
export class SocketPool {
  readonly place: SocketPlace;
  readonly #ownsNamespace: boolean;
  readonly #idle: Channel[] = [];
  #closed = false;

  private constructor({ netns, transport }: ConntrackOptions) {
    this.#ownsNamespace = typeof netns !== 'object';
    const namespace = typeof netns === 'object' || netns === undefined ? netns : NetworkNamespace.open(netns);
    this.place = { namespace, transport: transport ?? NetlinkSocket.open };
  }

  /** Opens the first one, which shows whether that can be. @throws SystemError, PlatformError, NamespaceError */
  static open(options: ConntrackOptions): SocketPool {
    const pool = new SocketPool(options);
    try {
      pool.#release(pool.#take());
    } catch (error) {
      pool.close();
      throw error;
    }
    return pool;
  }

  /** One request, acknowledged. */
  transact(request: RequestRow, family: number, build: Build | undefined, visit?: VisitMessage, extra?: RequestExtra): void {
    const channel = this.#take();
    try {
      channel.transact(request, family, build, visit, extra);
      this.#release(channel);
    } catch (error) {
      this.#releaseAfter(error, channel);
      throw error;
    }
  }

  /** Visits all messages of a dump of everything. */
  dump(request: RequestRow, family: number, visitor: DumpVisitor, background = false): Promise<void> {
    return this.with((channel) => channel.dump(request, family, undefined, visitor, { large: background }));
  }

  /** A socket for as long as `work` takes. */
  async with<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = this.#take();
    try {
      const result = await work(channel);
      this.#release(channel);
      return result;
    } catch (error) {
      this.#releaseAfter(error, channel);
      throw error;
    }
  }

  /** A socket that is of no use to others behind `work`. */
  async once(work: (channel: Channel) => Promise<void>): Promise<void> {
    const channel = this.#take();
    try {
      await work(channel);
    } finally {
      channel.close();
    }
  }

  /** Idempotent. What is under way ends by itself. */
  close(): void {
    this.#closed = true;
    for (const channel of this.#idle.splice(0)) channel.close();
    if (this.#ownsNamespace) this.place.namespace?.close();
  }

  #take(): Channel {
    if (this.#closed) throw new ClosedError('the table is closed');
    return this.#idle.pop() ?? new Channel(this.place.transport({ namespace: this.place.namespace }));
  }

  #release(channel: Channel): void {
    if (this.#closed || !channel.reusable || this.#idle.length >= IDLE_KEPT) channel.close();
    else this.#idle.push(channel);
  }

  /** An answer of the kernel ends a request whatever it says; after anything else the socket may be in the middle of one. */
  #releaseAfter(error: unknown, channel: Channel): void {
    if (error instanceof KernelError) this.#release(channel);
    else channel.close();
  }
}
