// A transport that passes everything to the kernel except at one step, at which one thing goes wrong. Above it is the real code, below it
// the real kernel. A seed decides which bytes are cut where.

import { SystemError } from '../../src/errors.js';
import { Datagrams } from '../../src/wire/datagrams.js';
import { EAGAIN, errnoName, errnoReason } from '../../src/wire/errno.js';
import { NetlinkSocket } from '../../src/wire/socket.js';
import type { OpenTransport, Transport, TransportOptions } from '../../src/wire/transport.js';
import type { Random } from './random.js';

/** Where a fault can strike. Each use of a transport is a step of one of these kinds. */
export type Point = 'open' | 'send' | 'receive' | 'drops';

/** How the code above may react to a fault. */
export type Expectation =
  /** Nothing: the same result as without it. */
  | 'harmless'
  /** An error with a code. */
  | 'error'
  /** An error; for a socket that listens to events, a reported loss. */
  | 'error or loss';

interface Arrival {
  readonly bytes: Uint8Array;
  /** Somebody other than the kernel sent it. */
  readonly foreign?: boolean;
  /** It was longer than its slot. */
  readonly cut?: boolean;
}

/** The result of a receive: the datagrams, or a negative errno. */
type Received = readonly Arrival[] | number;

export interface Fault {
  readonly name: string;
  readonly at: Point;
  readonly expect: Expectation;
  /** Not for sockets that listen to events: nobody could notice the fault, and no kernel does that. */
  readonly answersOnly?: boolean;
  /** `open`, `send` and `drops` fail with it, and so does `receive`, without taking anything. */
  readonly errno?: number;
  /** For `receive`: changes what the kernel sent. `sequence` is that of the last request. */
  readonly instead?: (arrivals: readonly Arrival[], random: Random, sequence: number) => Received;
}

const EPERM = 1;
const EBADF = 9;
const ENOMEM = 12;
const ENFILE = 23;
const EMFILE = 24;
const ENOBUFS = 105;

const fails = (at: Point, errno: number): Fault => ({
  name: `${at} fails with ${errnoName(errno)}`,
  at,
  expect: at === 'receive' && errno === ENOBUFS ? 'error or loss' : 'error',
  errno,
});

export const FAULTS: readonly Fault[] = [
  ...[EMFILE, ENFILE, ENOMEM].map((errno) => fails('open', errno)),
  ...[ENOBUFS, ENOMEM, EPERM, EBADF].map((errno) => fails('send', errno)),
  ...[ENOBUFS, ENOMEM, EBADF].map((errno) => fails('receive', errno)),
  fails('drops', EBADF),
  {
    name: 'what was received is lost, and ENOBUFS says so',
    at: 'receive',
    expect: 'error or loss',
    instead: () => -ENOBUFS,
  },
  { name: 'what was received is lost', at: 'receive', expect: 'error', answersOnly: true, instead: () => -EAGAIN },
  { name: 'nothing is received, without an error', at: 'receive', expect: 'error', answersOnly: true, instead: () => 0 },
  {
    name: 'a datagram is cut, and MSG_TRUNC says so',
    at: 'receive',
    expect: 'error',
    instead: ([first, ...rest], random) =>
      first ? [{ bytes: first.bytes.subarray(0, random.below(first.bytes.length)), cut: true }, ...rest] : -EAGAIN,
  },
  {
    name: 'a datagram is short',
    at: 'receive',
    expect: 'error',
    instead: ([first, ...rest], random) => (first ? [{ bytes: shortened(first.bytes, random) }, ...rest] : -EAGAIN),
  },
  {
    name: 'a message has length 0',
    at: 'receive',
    expect: 'error',
    instead: ([first, ...rest]) => (first ? [{ bytes: patched(first.bytes, 0, 0) }, ...rest] : -EAGAIN),
  },
  {
    name: 'a message is longer than its datagram',
    at: 'receive',
    expect: 'error',
    instead: ([first, ...rest]) => (first ? [{ bytes: patched(first.bytes, 0, 0x7fffffff) }, ...rest] : -EAGAIN),
  },
  {
    name: 'datagrams come one by one',
    at: 'receive',
    expect: 'harmless',
    instead: (arrivals) => (arrivals.length > 0 ? arrivals : -EAGAIN), // see FaultyTransport: it hands them out singly
  },
  {
    name: 'somebody else says that all is done',
    at: 'receive',
    expect: 'harmless',
    instead: (arrivals, _, sequence) => [{ bytes: ended(sequence, 3, 0), foreign: true }, ...arrivals],
  },
  {
    name: 'somebody else refuses',
    at: 'receive',
    expect: 'harmless',
    instead: (arrivals, _, sequence) => [{ bytes: ended(sequence, 2, -2), foreign: true }, ...arrivals],
  },
  {
    name: 'somebody else sends noise',
    at: 'receive',
    expect: 'harmless',
    instead: (arrivals, random) => [
      { bytes: new Uint8Array(64).map(() => random.below(256)), foreign: true },
      ...arrivals,
      { bytes: new Uint8Array(0), foreign: true },
    ],
  },
  {
    name: 'an answer to an older request comes first',
    at: 'receive',
    expect: 'harmless',
    answersOnly: true,
    instead: (arrivals, _, sequence) => [{ bytes: ended(sequence - 1, 2, -2) }, { bytes: ended(0, 3, 0) }, ...arrivals],
  },
];

/** NLMSG_ERROR or NLMSG_DONE with a result. */
function ended(sequence: number, type: number, result: number): Uint8Array {
  const bytes = Buffer.alloc(36);
  bytes.writeUInt32LE(36, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt32LE(sequence >>> 0, 8);
  bytes.writeInt32LE(result, 16);
  bytes.writeUInt32LE(20, 20);
  return bytes;
}

function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(value, at);
  return copy;
}

/** Cuts off the end, not at the end of a message, because the kernel does not cut datagrams there. */
function shortened(bytes: Uint8Array, random: Random): Uint8Array {
  const buffer = Buffer.from(bytes);
  const ends = new Set<number>();
  for (let at = 0; at + 16 <= buffer.length; ) {
    const size = Math.max(buffer.readUInt32LE(at), 16);
    ends.add(at + size);
    at += (size + 3) & ~3;
    ends.add(at);
  }
  // Fewer bytes than a header are not a message, just as padding is not; inside a message they are.
  const candidates = Array.from(buffer, (_, length) => length).filter(
    (length) => length >= 16 && !ends.has(length) && ![...ends].some((end) => length > end && length - end < 16),
  );
  return buffer.subarray(0, random.pick(candidates));
}

/** Slots, some of which claim to be foreign or truncated. */
class MarkedDatagrams extends Datagrams {
  readonly kernel: Datagrams;
  readonly foreign = new Set<number>();
  readonly cut = new Set<number>();

  constructor(slots: number, slotSize: number, kernel: Datagrams) {
    super(slots, slotSize);
    this.kernel = kernel;
  }

  override fromKernel(i: number): boolean {
    return !this.foreign.has(i);
  }

  override truncated(i: number): boolean {
    return this.cut.has(i) || super.truncated(i);
  }
}

/** Opens transports that count their steps together; at step `step`, if it is of the fault's kind, the fault strikes. */
export class FaultyTransports {
  readonly #fault: Fault | undefined;
  readonly #step: number;
  readonly #random: Random;
  /** The kind of each step so far, and whether its transport listens to events. */
  readonly steps: { readonly point: Point; readonly listens: boolean }[] = [];
  /** Transports that are open. */
  live = 0;
  /** Whether the fault has struck, and whether on a transport that listens to events. */
  struck: 'answers' | 'events' | undefined;
  /** Set to stop further faults. */
  disarmed = false;
  /** Receives in a row without a result. */
  #vain = 0;

  constructor(random: Random, fault?: Fault, step = -1) {
    this.#random = random;
    this.#fault = fault;
    this.#step = step;
  }

  readonly open: OpenTransport = (options) => {
    const listens = options.groups !== undefined && options.groups !== 0;
    this.fail('open', listens, 'socket');
    const inner = NetlinkSocket.open(options as TransportOptions);
    this.live++;
    return new FaultyTransport(this, inner, listens, this.#random);
  };

  /** Counts a step. @returns the fault, when it strikes now */
  strikes(point: Point, listens: boolean): Fault | undefined {
    const step = this.steps.push({ point, listens }) - 1;
    const fault = this.#fault;
    if (this.disarmed || step !== this.#step || fault?.at !== point || (listens && fault.answersOnly)) return undefined;
    this.struck = listens ? 'events' : 'answers';
    return fault;
  }

  /** As `strikes`, for steps that fail with an error. @throws SystemError */
  fail(point: Point, listens: boolean, syscall: string): void {
    const errno = this.strikes(point, listens)?.errno;
    if (errno !== undefined) throw new SystemError(syscall, errno, errnoName(errno), errnoReason(errno));
  }

  /** Called with the result of each receive. @throws Error for code that would ask forever and could not be stopped otherwise */
  asked(result: number): void {
    this.#vain = result > 0 ? 0 : this.#vain + 1;
    if (this.#vain > 10_000) throw new Error('asked ten thousand times in vain');
  }
}

class FaultyTransport implements Transport {
  readonly #all: FaultyTransports;
  readonly #inner: Transport;
  readonly #listens: boolean;
  readonly #random: Random;
  /** What was received from the kernel and not passed on. */
  readonly #kept: Arrival[] = [];
  #singly = false;
  #sequence = 0;
  #lost = 0;
  #closed = false;

  constructor(all: FaultyTransports, inner: Transport, listens: boolean, random: Random) {
    this.#all = all;
    this.#inner = inner;
    this.#listens = listens;
    this.#random = random;
  }

  get portId(): number {
    return this.#inner.portId;
  }

  get receiveBuffer(): number {
    return this.#inner.receiveBuffer;
  }

  get drops(): number {
    this.#all.fail('drops', this.#listens, 'getsockopt');
    return this.#inner.drops + this.#lost;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return new MarkedDatagrams(slots, slotSize, this.#inner.createDatagrams(slots, slotSize));
  }

  send(bytes: Uint8Array, length: number): void {
    this.#begin(bytes);
    this.#inner.send(bytes, length);
  }

  async sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    this.#begin(bytes);
    await this.#inner.sendAsync(bytes, length);
  }

  #begin(bytes: Uint8Array): void {
    this.#all.fail('send', this.#listens, 'send');
    this.#sequence = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32LE(8);
  }

  receive(into: Datagrams): number {
    const fault = this.#all.strikes('receive', this.#listens);
    if (fault?.errno !== undefined) return this.#handOn(-fault.errno);
    const { kernel } = into as MarkedDatagrams;
    return this.#give(into as MarkedDatagrams, this.#kept.length > 0 ? 0 : this.#inner.receive(kernel), fault);
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    const fault = this.#all.strikes('receive', this.#listens);
    if (fault?.errno !== undefined) return this.#handOn(-fault.errno);
    const { kernel } = into as MarkedDatagrams;
    const count = this.#kept.length > 0 ? 0 : await this.#inner.receiveAsync(kernel);
    return this.#give(into as MarkedDatagrams, count, fault);
  }

  watch(ready: (status: number) => void) {
    return this.#inner.watch(ready);
  }

  close(): void {
    if (!this.#closed) this.#all.live--;
    this.#closed = true;
    this.#inner.close();
  }

  #give(into: MarkedDatagrams, count: number, fault: Fault | undefined): number {
    const { kernel } = into;
    const taken: Arrival[] = [];
    for (let i = 0; i < count; i++) {
      const start = kernel.start(i);
      taken.push({ bytes: kernel.bytes.slice(start, start + kernel.length(i)), foreign: !kernel.fromKernel(i) });
    }
    if (fault?.name === 'datagrams come one by one') this.#singly = true;
    const made = fault?.instead?.(taken, this.#random, this.#sequence);
    if (typeof made === 'number') {
      this.#lost += taken.length;
      return this.#handOn(made);
    }
    this.#kept.push(...(made ?? taken));
    if (this.#kept.length === 0) return this.#handOn(count < 0 ? count : -EAGAIN);
    const arrivals = this.#kept.splice(0, this.#singly ? 1 : into.slots);
    into.foreign.clear();
    into.cut.clear();
    for (const [i, { bytes, foreign, cut }] of arrivals.entries()) {
      into.put(i, bytes);
      if (foreign) into.foreign.add(i);
      if (cut) into.cut.add(i);
    }
    return this.#handOn(arrivals.length);
  }

  #handOn(result: number): number {
    this.#all.asked(result);
    return result;
  }
}
