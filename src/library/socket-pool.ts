// SocketPool: the sockets of one network namespace. Each call in progress has its own, so that several can run at the same time.

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
   * The network namespace: a name of `ip netns`, a path (with a `/`), the id of a process in it, or an open one (which the caller still
   * has to close). Digits are a process id unless a namespace has that name. Default: that of the process. The process stays where it is.
   * Needs CAP_SYS_ADMIN. Matches `--netns`.
   */
  readonly netns?: string | number | NetworkNamespace | undefined;
  /** What carries datagrams to the kernel, or replaces it, such as `Replay` of `conntrack/testing`. */
  readonly transport?: OpenTransport | undefined;
}

/** Where sockets are opened. */
export interface SocketPlace {
  readonly namespace: NetworkNamespace | undefined;
  readonly transport: OpenTransport;
}

/** Sockets kept open for later use: two dumps and a change. */
const IDLE_KEPT = 3;

/** Opens sockets on demand, all in the same namespace, and keeps some for later use. */
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

  /** Opens the first one, to see whether it is possible. @throws SystemError, PlatformError, NamespaceError */
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

  /** A socket that others cannot use after `work`. */
  async once(work: (channel: Channel) => Promise<void>): Promise<void> {
    const channel = this.#take();
    try {
      await work(channel);
    } finally {
      channel.close();
    }
  }

  /** Idempotent. Calls in progress end by themselves. */
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
