// Replay: a transport that answers from a recording. The code above it is the real one: same requests, same decoder.
// Requests find their answers by what they ask, not by their place, except that the same request asked again gets the next answer.

import { readFileSync } from 'node:fs';
import { ClosedError, ConntrackError } from '../errors.js';
import { host16, host32, putHost32 } from '../wire/bytes.js';
import { Datagrams } from '../wire/datagrams.js';
import { EAGAIN } from '../wire/errno.js';
import type { DescriptorWatch } from '../wire/libc.js';
import { align4, messageLength } from '../wire/message.js';
import type { OpenTransport, Transport, TransportOptions } from '../wire/transport.js';
import { NLMSG_HDRLEN } from '../wire/uapi/netlink.js';
import { parseRecording, type Step } from './recording.js';

/** The code under test asked for something that is not in the recording, or did not ask for all that is. */
export class ReplayError extends ConntrackError {
  readonly code = 'REPLAY';
}

/** Places in struct nlmsghdr. */
const TYPE = 4;
const SEQUENCE = 8;

/** How a recording is replayed. */
export interface ReplayOptions {
  /** A request beyond those recorded gets the last answer to it again, if it ever had one. Default: it is an error. */
  readonly repeat?: boolean;
}

/** A datagram, or the errno of a receive that failed. */
type Arrival = Uint8Array | number;

/** A request and what came of it. */
interface Exchange {
  /** Of its first message. */
  readonly sequence: number;
  readonly answers: Arrival[];
  used: boolean;
}

/** What one listening transport heard: each arrival, and how many requests had been sent before it. */
interface Hearing {
  readonly groups: number;
  readonly arrivals: { readonly after: number; readonly arrival: Arrival }[];
  readonly drops: number[];
}

/**
 * Answers from a recording.
 *
 * ```ts
 * const replay = Replay.fromFile('table.ndjson');
 * const conntrack = Conntrack.open({ transport: replay.open });
 * ```
 *
 * A transport that joins groups gets the events of the next recorded one that did. They come as soon as all requests that had been
 * sent before them are sent again.
 */
export class Replay {
  /** By request, in the order of the recording. */
  readonly #exchanges = new Map<string, Exchange[]>();
  readonly #hearings: Hearing[] = [];
  readonly #repeat: boolean;
  readonly #listeners = new Set<() => void>();
  #recorded = 0;
  #sent = 0;
  #portId = 1;

  private constructor(steps: readonly Step[], { repeat = false }: ReplayOptions) {
    this.#repeat = repeat;
    const current = new Map<number, Exchange>();
    const listening = new Map<number, Hearing>();
    for (const step of steps) {
      const hearing = listening.get(step.transport);
      if (step.kind === 'open') {
        if (step.groups === 0) continue;
        const heard: Hearing = { groups: step.groups, arrivals: [], drops: [] };
        listening.set(step.transport, heard);
        this.#hearings.push(heard);
      } else if (step.kind === 'send') {
        const exchange = { sequence: host32(step.bytes, SEQUENCE), answers: [], used: false };
        current.set(step.transport, exchange);
        const key = keyOf(step.bytes);
        const same = this.#exchanges.get(key);
        if (same) same.push(exchange);
        else this.#exchanges.set(key, [exchange]);
        this.#recorded++;
      } else if (step.kind === 'drops') hearing?.drops.push(step.count);
      else {
        const arrival = step.kind === 'receive' ? step.bytes : step.errno;
        if (hearing) hearing.arrivals.push({ after: this.#recorded, arrival });
        else current.get(step.transport)?.answers.push(arrival);
      }
    }
  }

  /** @throws RecordingError for a text that is no recording */
  static fromText(text: string, options: ReplayOptions = {}): Replay {
    return new Replay(parseRecording(text), options);
  }

  /** @throws RecordingError for a file that is no recording */
  static fromFile(path: string, options: ReplayOptions = {}): Replay {
    return Replay.fromText(readFileSync(path, 'utf8'), options);
  }

  /** For the option `transport`. */
  readonly open: OpenTransport = (options: TransportOptions): Transport => {
    const portId = this.#portId++;
    if (!options.groups) return new ReplayTransport(portId, (request) => this.#answer(request));
    const hearing = this.#hearings.shift();
    if (!hearing) throw new ReplayError('nothing more was listened to in this recording', { hint: RECORD_AGAIN });
    if (hearing.groups !== options.groups)
      throw new ReplayError(`groups ${options.groups} are listened to, but the recording has groups ${hearing.groups}`, {
        hint: RECORD_AGAIN,
      });
    return this.#listen(portId, hearing);
  };

  /** Whether everything recorded was asked for. @throws ReplayError that tells what was not */
  assertDone(): void {
    const left = this.#recorded - this.#sent;
    if (left > 0) throw new ReplayError(`${left} of ${this.#recorded} recorded requests were not made`);
    if (this.#hearings.length > 0) throw new ReplayError(`${this.#hearings.length} recorded listeners were not opened`);
  }

  #answer(request: Uint8Array): readonly Arrival[] {
    const same = this.#exchanges.get(keyOf(request)) ?? [];
    const exchange = same.find((one) => !one.used) ?? (this.#repeat ? same.at(-1) : undefined);
    if (!exchange)
      throw new ReplayError(
        same.length > 0
          ? `the recording has ${same.length} answers to this request, and it is made once more`
          : `the recording has no answer to this request: type 0x${host16(request, TYPE).toString(16)}, ${request.length} bytes`,
        { hint: same.length > 0 ? 'record again, or replay with { repeat: true }' : RECORD_AGAIN },
      );
    if (!exchange.used) this.#sent++;
    exchange.used = true;
    for (const listener of this.#listeners) listener();
    const shift = host32(request, SEQUENCE) - exchange.sequence;
    return exchange.answers.map((answer) => (typeof answer === 'number' ? answer : renumbered(answer, shift)));
  }

  #listen(portId: number, hearing: Hearing): Transport {
    const transport = new ReplayTransport(portId, (request) => this.#answer(request), hearing.drops);
    const deliver = () => {
      while (hearing.arrivals.length > 0 && hearing.arrivals[0]!.after <= this.#sent)
        transport.arrive(hearing.arrivals.shift()!.arrival);
    };
    this.#listeners.add(deliver);
    deliver();
    return transport;
  }
}

const RECORD_AGAIN = 'the code under test does something else than when it was recorded: record it again';

/** A transport whose datagrams are put into it. */
class ReplayTransport implements Transport {
  readonly portId: number;
  readonly receiveBuffer = 0;
  readonly #answer: (request: Uint8Array) => readonly Arrival[];
  readonly #drops: number[];
  readonly #queue: Arrival[] = [];
  #lastDrops = 0;
  #ready: ((status: number) => void) | undefined;
  #scheduled = false;
  #closed = false;

  constructor(portId: number, answer: (request: Uint8Array) => readonly Arrival[], drops: number[] = []) {
    this.portId = portId;
    this.#answer = answer;
    this.#drops = drops;
  }

  get drops(): number {
    this.#lastDrops = this.#drops.shift() ?? this.#lastDrops;
    return this.#lastDrops;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return new Datagrams(slots, slotSize);
  }

  send(bytes: Uint8Array, length: number): void {
    this.#check();
    this.#queue.push(...this.#answer(bytes.subarray(0, length)));
  }

  async sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    this.send(bytes, length);
  }

  receive(into: Datagrams): number {
    this.#check();
    const [first] = this.#queue;
    if (first === undefined) return -EAGAIN;
    if (typeof first === 'number') {
      this.#queue.shift();
      return -first;
    }
    let count = 0;
    for (let next = this.#queue[0]; count < into.slots && next instanceof Uint8Array; next = this.#queue[0]) {
      into.put(count++, next);
      this.#queue.shift();
    }
    return count;
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    return this.receive(into);
  }

  watch(ready: (status: number) => void): DescriptorWatch {
    const start = () => {
      this.#ready = ready;
      this.#schedule();
    };
    const stop = () => {
      this.#ready = undefined;
    };
    start();
    return { start, stop, close: stop };
  }

  close(): void {
    this.#closed = true;
    this.#ready = undefined;
  }

  /** Something has come. */
  arrive(arrival: Arrival): void {
    this.#queue.push(arrival);
    this.#schedule();
  }

  /** Calls as poll(2) would: again and again while something is there. */
  #schedule(): void {
    if (this.#scheduled || !this.#ready || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#queue.length > 0) this.#ready?.(0);
      this.#schedule();
    });
  }

  #check(): void {
    if (this.#closed) throw new ClosedError('the replay transport is closed');
  }
}

/** Calls `work` with the place of each message of a datagram. */
function eachMessage(datagram: Uint8Array, work: (at: number) => void): void {
  for (let at = 0; at + NLMSG_HDRLEN <= datagram.length; ) {
    work(at);
    const length = messageLength(datagram, at, datagram.length);
    if (length === 0) return; // a damaged datagram: whoever reads it will say so
    at += align4(length);
  }
}

/** What a request asks, as text: its bytes without sequence numbers. */
function keyOf(request: Uint8Array): string {
  const bytes = new Uint8Array(request); // a copy, also of a Buffer
  eachMessage(bytes, (at) => putHost32(bytes, at + SEQUENCE, 0));
  return Buffer.from(bytes).toString('base64');
}

/** A copy whose messages answer a request with other sequence numbers. */
function renumbered(answer: Uint8Array, shift: number): Uint8Array {
  const bytes = new Uint8Array(answer);
  eachMessage(bytes, (at) => putHost32(bytes, at + SEQUENCE, (host32(bytes, at + SEQUENCE) + shift) >>> 0));
  return bytes;
}
