// Recorder: passes everything between the library and the kernel, and records it for a replay.

import { closeSync, openSync, writeSync } from 'node:fs';
import type { Datagrams } from '../wire/datagrams.js';
import { EAGAIN } from '../wire/errno.js';
import type { DescriptorWatch } from '../wire/libc.js';
import { NetlinkSocket } from '../wire/socket.js';
import type { OpenTransport, Transport, TransportOptions } from '../wire/transport.js';
import { formatStep, HEADER, RecordingError, type Step } from './recording.js';

/** Takes each line of a recording, with its newline. */
export type LineSink = (line: string) => void;

/**
 * Records the traffic of the transports that it opens, all in one network namespace.
 *
 * ```ts
 * const recorder = Recorder.toFile('table.ndjson');
 * const conntrack = await Conntrack.open({ transport: recorder.open });
 * // … what shall be replayed …
 * await conntrack.close();
 * recorder.close();
 * ```
 */
export class Recorder implements Disposable {
  readonly #sink: LineSink;
  readonly #inner: OpenTransport;
  readonly #start = performance.now();
  #opened = 0;
  /** The namespace of the first transport. */
  #place: string | undefined;
  #fd: number | undefined;

  /** `inner` opens the transports that actually carry the datagrams. */
  constructor(sink: LineSink, inner: OpenTransport = NetlinkSocket.open) {
    this.#sink = sink;
    this.#inner = inner;
    sink(`${JSON.stringify(HEADER)}\n`);
  }

  /** Records to a new file. */
  static toFile(path: string, inner?: OpenTransport): Recorder {
    const fd = openSync(path, 'w', 0o600); // addresses of people who use this network
    const recorder = new Recorder((line) => writeSync(fd, line), inner);
    recorder.#fd = fd;
    return recorder;
  }

  /** For the option `transport`. @throws RecordingError for a second network namespace, which has other answers to the same requests */
  readonly open: OpenTransport = (options: TransportOptions): Transport => {
    const { namespace, groups = 0, filter } = options;
    const place = namespace ? `${namespace.device}:${namespace.inode}` : 'own';
    this.#place ??= place;
    if (place !== this.#place)
      throw new RecordingError('a recording covers one network namespace', { hint: 'use a recorder for each of them' });
    const inner = this.#inner(options);
    const transport = this.#opened++;
    const write = (step: Unplaced) =>
      this.#sink(formatStep({ at: Math.round(performance.now() - this.#start), transport, ...step } as Step));
    write({ kind: 'open', groups, portId: inner.portId, ...(filter ? { filter } : {}) });
    return new RecordingTransport(inner, write);
  };

  /** Closes the file. Idempotent. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

type Unplaced = Step extends infer S ? (S extends Step ? Omit<S, 'at' | 'transport'> : never) : never;

class RecordingTransport implements Transport {
  readonly #inner: Transport;
  readonly #write: (step: Unplaced) => void;

  constructor(inner: Transport, write: (step: Unplaced) => void) {
    this.#inner = inner;
    this.#write = write;
  }

  get portId(): number {
    return this.#inner.portId;
  }

  get receiveBuffer(): number {
    return this.#inner.receiveBuffer;
  }

  get drops(): number {
    const count = this.#inner.drops;
    this.#write({ kind: 'drops', count });
    return count;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return this.#inner.createDatagrams(slots, slotSize);
  }

  send(bytes: Uint8Array, length: number): void {
    this.#write({ kind: 'send', bytes: bytes.subarray(0, length) });
    this.#inner.send(bytes, length);
  }

  sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    this.#write({ kind: 'send', bytes: bytes.subarray(0, length) });
    return this.#inner.sendAsync(bytes, length);
  }

  receive(into: Datagrams): number {
    return this.#received(into, this.#inner.receive(into));
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    return this.#received(into, await this.#inner.receiveAsync(into));
  }

  watch(ready: (status: number) => void): DescriptorWatch {
    return this.#inner.watch(ready);
  }

  close(): void {
    this.#inner.close();
  }

  #received(from: Datagrams, count: number): number {
    if (count < 0 && count !== -EAGAIN) this.#write({ kind: 'fail', errno: -count });
    for (let i = 0; i < count; i++) {
      if (!from.fromKernel(i)) continue;
      const start = from.start(i);
      this.#write({ kind: 'receive', bytes: from.bytes.subarray(start, start + from.length(i)) });
    }
    return count;
  }
}
