// Multipart dumps, received part by part, ahead of the code that visits the entries. Rules: docs/kernel.md 1.3, 1.8.

import type { Request } from './answers.js';
import { type AnswerVisitor, checkCount, holdsEnd, lastSequence, walkBatch, walkSlot } from './answers.js';
import type { Datagrams } from './datagrams.js';
import type { ReceiveBuffers } from './receive-buffers.js';
import type { Transport } from './transport.js';

/** Datagrams in a part if few may wait. */
const FEW = 32;

/** After visiting this many datagrams, about 500 entries, it checks the receiving thread. */
const TURN = 4;

/** What happens during a dump. */
export interface DumpVisitor extends AnswerVisitor {
  /** A batch of datagrams has arrived; its messages follow once the returned promise, if any, has settled. */
  readonly beginBatch?: (() => void | Promise<void>) | undefined;
  /** Called after each datagram; if it returns a promise, the next datagram waits for it. An exception ends the dump. */
  readonly pause?: (() => Promise<void> | undefined) | undefined;
}

/** A request for a dump. */
export interface DumpRequest extends Request {
  /** The end may stand behind messages in their datagram: NETLINK_ROUTE, since Linux 6.9. */
  readonly endsInside?: boolean | undefined;
  /** Send it on a thread: a large dump may take long to produce its first part. */
  readonly large?: boolean | undefined;
  /** Shared by dumps that run at the same time. Without it, each receives on its own thread. */
  readonly thread?: SharedThread | undefined;
  /** How many parts may wait to be visited; if given, parts are small. Default: as many as there are buffers for. */
  readonly ahead?: number | undefined;
}

/** A buffer and what one receive put into it. */
interface Part {
  readonly buffer: Datagrams;
  /** Datagrams, or `-errno`. */
  readonly count: number;
  /** It contains the end of the answer, or of all that can be received of it. */
  readonly last: boolean;
  /** The exception that was thrown instead. */
  readonly failure?: unknown;
}

/**
 * One thread that receives for several dumps of a caller on a machine with two processors, where a thread for each dump would be one too
 * many. One dump has the thread until it ends; another receives on the caller's thread, whenever that has nothing to visit.
 */
export class SharedThread {
  #busy = false;
  #idle = true;
  #waiting: (() => void)[] = [];

  /** A thread that no dump gets: all of them receive on the caller's thread. */
  static none(): SharedThread {
    const thread = new SharedThread();
    thread.take();
    return thread;
  }

  /** Return it with `release`. @returns whether the thread was free */
  take(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  /** Called when the dump that had the thread has ended. */
  release(): void {
    this.#busy = false;
    this.setIdle(true);
  }

  /** Whether everything received on the thread has been visited. */
  setIdle(idle: boolean): void {
    this.#idle = idle;
    if (idle) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Settles when everything received on the thread has been visited. */
  async idle(): Promise<void> {
    // Whatever has just arrived goes first: the next turn of the event loop sees it.
    await nextTurn();
    while (!this.#idle) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Receives the later parts of a dump, one after another, on a thread, as long as there are buffers for them. */
class ReadAhead {
  readonly #socket: Transport;
  readonly #buffers: ReceiveBuffers;
  readonly #request: DumpRequest;
  readonly #thread: SharedThread;
  readonly #most: number;
  /** The most datagrams in a part. */
  readonly #slots: number | undefined;
  readonly #arrived: Part[] = [];
  #receiving: Promise<void> | undefined;
  #ended = false;

  constructor(socket: Transport, buffers: ReceiveBuffers, request: DumpRequest, thread: SharedThread) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#request = request;
    this.#thread = thread;
    this.#thread.setIdle(false);
    this.#most = request.ahead ?? Number.POSITIVE_INFINITY;
    this.#slots = request.ahead === undefined ? undefined : FEW;
    this.#receive();
  }

  /** Do not call it after the last part. */
  async next(): Promise<Part> {
    while (this.#arrived.length === 0) {
      if (!this.#receiving) throw new Error('the receive buffers are in use by another dump');
      this.#thread.setIdle(true);
      await this.#receiving;
    }
    this.#thread.setIdle(false);
    const part = this.#arrived.shift()!;
    this.#receive();
    return part;
  }

  /** A part has been visited. */
  release(part: Part): void {
    this.#buffers.give(part.buffer);
    this.#receive();
  }

  /** Stops after this part. Settles when the kernel no longer writes into a buffer. */
  async stop(part: Part): Promise<void> {
    this.#ended = true;
    await this.#receiving;
    this.#buffers.give(part.buffer);
    for (const part of this.#arrived.splice(0)) this.#buffers.give(part.buffer);
    // A list that comes again and again would leave its buffers to the collector each time.
    this.#buffers.release(this.#request.ahead === undefined ? 0 : this.#request.ahead + 1);
  }

  #receive(): void {
    if (this.#ended || this.#receiving || this.#arrived.length >= this.#most) return;
    let buffer: Datagrams | undefined;
    try {
      buffer = this.#buffers.take(this.#slots);
    } catch (failure) {
      this.#take({ buffer: this.#buffers.first, count: 0, last: true, failure });
    }
    if (buffer) this.#receiving = this.#fill(buffer);
  }

  #take(part: Part): void {
    this.#arrived.push(part);
    if (part.last) this.#ended = true;
  }

  async #fill(buffer: Datagrams): Promise<void> {
    const part = await receivePart(this.#socket, buffer, this.#request);
    this.#receiving = undefined;
    this.#take(part);
    this.#receive();
  }
}

function partOf(buffer: Datagrams, count: number, request: DumpRequest): Part {
  return { buffer, count, last: count <= 0 || holdsEnd(buffer, count, lastSequence(request), request.endsInside) };
}

async function receivePart(socket: Transport, buffer: Datagrams, request: DumpRequest): Promise<Part> {
  try {
    return partOf(buffer, await socket.receiveAsync(buffer), request);
  } catch (failure) {
    return { buffer, count: 0, last: true, failure };
  }
}

/**
 * Sends a dump request (NLM_F_DUMP and NLM_F_ACK) and visits every message of the answer. While one part is visited, the kernel fills the
 * next ones on another thread, so the time is the longer of the two, not their sum. A `large` dump also starts on another thread, because
 * the first part takes as long as the kernel needs to find entries that pass the filter. A small dump starts no thread.
 * @throws as `transact`; after an error, unless the kernel refused the dump, the socket may be in the middle of it and must be closed
 */
export async function dump(
  socket: Transport,
  buffers: ReceiveBuffers,
  request: DumpRequest,
  visitor: DumpVisitor,
): Promise<void> {
  const { thread = new SharedThread() } = request;
  const buffer = buffers.first;
  // The dump that began first gets the thread, not the one whose first part happens to arrive first.
  let threaded = thread.take();
  try {
    let count = await receiveFirst(socket, buffer, request);
    for (;;) {
      const part = partOf(buffer, count, request);
      if (part.last) return await visitPart(part, request, visitor);
      threaded ||= thread.take();
      if (threaded) return await visitRest(part, new ReadAhead(socket, buffers, request, thread), request, visitor);
      await visitPart(part, request, visitor);
      await thread.idle();
      count = socket.receive(buffer);
    }
  } finally {
    if (threaded) thread.release();
  }
}

/**
 * As `dump`, but visits only the first part, about 300 entries, as a sample. Afterwards the socket is in the middle of the dump and must
 * be closed.
 */
export async function beginDump(
  socket: Transport,
  buffers: ReceiveBuffers,
  request: DumpRequest,
  visitor: AnswerVisitor,
): Promise<void> {
  const count = await receiveFirst(socket, buffers.first, request);
  walkBatch(buffers.first, checkCount(count, request), request, visitor);
}

/** Sends the request. @returns how many datagrams of the answer were received, or `-errno` */
async function receiveFirst(socket: Transport, buffer: Datagrams, request: DumpRequest): Promise<number> {
  if (!request.large) {
    socket.send(request.bytes, request.length);
    return socket.receive(buffer);
  }
  await socket.sendAsync(request.bytes, request.length);
  return socket.receiveAsync(buffer);
}

/** Visits a part and all later ones. */
async function visitRest(part: Part, ahead: ReadAhead, request: Request, visitor: DumpVisitor): Promise<void> {
  let current = part;
  try {
    for (;;) {
      await visitPart(current, request, visitor, ahead);
      if (current.last) return;
      ahead.release(current);
      current = await ahead.next();
    }
  } finally {
    await ahead.stop(current);
  }
}

async function visitPart(part: Part, request: Request, visitor: DumpVisitor, ahead?: ReadAhead): Promise<void> {
  if ('failure' in part) throw part.failure;
  checkCount(part.count, request);
  const ready = visitor.beginBatch?.();
  if (ready) await ready;
  for (let i = 0; i < part.count; i++) {
    walkSlot(part.buffer, i, request, visitor);
    const pause = visitor.pause?.();
    if (pause) await pause;
    else if (ahead && i % TURN === TURN - 1) await nextTurn();
  }
}
