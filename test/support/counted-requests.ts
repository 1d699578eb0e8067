// A transport to the real kernel that counts requests, so that a test can check how many of which kind were sent, and on which thread.

import { NetlinkSocket } from '../../src/wire/socket.js';
import type { OpenTransport } from '../../src/wire/transport.js';

const NAMES = ['NEW', 'GET', 'DELETE'];

export class CountedRequests {
  readonly #counts = new Map<string, number>();
  #waits = 0;

  readonly open: OpenTransport = (options) => {
    const socket = NetlinkSocket.open(options);
    return new Proxy(socket, {
      get: (target, name) => {
        if (name === 'send' || name === 'sendAsync')
          return (bytes: Uint8Array, length: number) => {
            this.#count(bytes, length);
            if (name === 'send') this.#waits++;
            return target[name](bytes, length);
          };
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };

  #count(bytes: Uint8Array, length: number): void {
    const data = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += (data.getUint32(at, true) + 3) & ~3) {
      const type = data.getUint16(at + 4, true) & 0xff;
      const isList = type === 1 && (data.getUint16(at + 6, true) & 0x300) !== 0;
      const name = isList ? 'LIST' : (NAMES[type] ?? 'other');
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    }
  }

  /** Messages of each type since the last call; those that ask for a list by themselves. */
  take(): Record<string, number> {
    const taken = Object.fromEntries(this.#counts);
    this.#counts.clear();
    return taken;
  }

  /** Sends on the thread of JavaScript since the last call. */
  takeWaits(): number {
    const taken = this.#waits;
    this.#waits = 0;
    return taken;
  }
}
