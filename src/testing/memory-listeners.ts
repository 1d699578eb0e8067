// MemoryListeners: the listeners to the events of a table in memory. Their receive buffers overflow like those of sockets: when one is
// full, everything is dropped until it has been read empty.

import { ENOBUFS } from '../wire/errno.js';
import type { QueuedTransport } from './queued-transport.js';

/** Bytes of a receive buffer that a waiting event takes. */
const CHARGE = 1280;

interface Listener {
  readonly transport: QueuedTransport;
  readonly groups: number;
  /** Events that fit its receive buffer. */
  readonly room: number;
  /** Events lost until now. */
  drops: number;
  /** Events that are to be lost. */
  toLose: number;
  congested: boolean;
}

export class MemoryListeners {
  readonly #listeners = new Map<QueuedTransport, Listener>();

  add(transport: QueuedTransport, groups: number): void {
    const room = Math.max(1, Math.floor(transport.receiveBuffer / CHARGE));
    this.#listeners.set(transport, { transport, groups, room, drops: 0, toLose: 0, congested: false });
  }

  remove(transport: QueuedTransport): void {
    this.#listeners.delete(transport);
  }

  drops(transport: QueuedTransport): number {
    return this.#listeners.get(transport)?.drops ?? 0;
  }

  /** Whether anybody listens to a group. */
  hear(group: number): boolean {
    for (const { groups } of this.#listeners.values()) if ((groups & group) !== 0) return true;
    return false;
  }

  tell(group: number, event: Uint8Array): void {
    for (const listener of this.#listeners.values()) if ((listener.groups & group) !== 0) tellOne(listener, event);
  }

  /** Current listeners lose the next `count` events. */
  lose(count: number): void {
    for (const listener of this.#listeners.values()) listener.toLose += count;
  }

  /** Settles when all events have been taken. */
  async taken(): Promise<void> {
    while ([...this.#listeners.values()].some(({ transport }) => transport.waiting > 0))
      await new Promise((resolve) => setImmediate(resolve));
  }
}

function tellOne(listener: Listener, event: Uint8Array): void {
  const { transport } = listener;
  if (transport.waiting === 0) listener.congested = false;
  if (listener.toLose > 0) listener.toLose--;
  else if (!listener.congested && transport.waiting < listener.room) {
    transport.arrive(event);
    return;
  } else listener.congested = true;
  listener.drops++;
  transport.fail(ENOBUFS);
}
