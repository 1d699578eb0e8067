// One request and its answers: acknowledgement, single answers, multipart dumps. Knows netlink framing and nothing of conntrack.
// Rules: ctnetlink.md 1.3 (finish on DONE or NLMSG_ERROR with our sequence number, never on a missing MULTI), 1.8 (buffers), 9.

import { DecodeError, KernelError, NoAnswerError, SystemError } from '../errors.js';
import { host16, host32, hostSigned32 } from './bytes.js';
import type { Datagrams } from './datagrams.js';
import { EAGAIN, EPERM, errnoName, errnoReason } from './errno.js';
import { align4, checkedMessageLength } from './message.js';
import type { Transport } from './transport.js';
import {
  NLA_HDRLEN,
  NLA_TYPE_MASK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  NLMSG_MIN_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './uapi/netlink.js';

const NOT_KNOWN = 'the answer is lost: what was to be changed may be changed all the same';

/** The kernel never makes a dump datagram larger than this (ctnetlink.md 1.8). */
const DATAGRAM_SIZE = 32768;
/** Datagrams taken at once during a dump: about 4,000 entries, or 10 to 20 ms of the kernel's time on a thread. */
const DUMP_SLOTS = 32;
/** Parts of a dump that are being filled, wait or are visited: the kernel goes on while code that is new is slow, for 0.1 s. */
const DUMP_PARTS = 8;
/** Datagrams visited, about 500 entries, after which the thread that receives is looked at. */
const TURN = 4;
/** The first part of a dump is taken without a thread, so that a small table never starts one. */
const FIRST_SLOTS = 2;

/**
 * Called for each message of an answer. The bytes are borrowed: they are overwritten after the batch.
 * `index` is which message of the request it answers.
 */
export type VisitMessage = (bytes: Uint8Array, at: number, end: number, index: number) => void;

/** What happens during a dump. */
export interface DumpVisitor {
  readonly message: VisitMessage;
  /** A batch of datagrams arrived; its messages follow when the promise, if there is one, has settled. */
  readonly beginBatch?: (() => void | Promise<void>) | undefined;
  /** The messages of one datagram are done; `bytes` still holds them. */
  readonly endDatagram?: ((bytes: Uint8Array) => void) | undefined;
  /** Asked behind each datagram: a promise is waited for before the next is visited. What it throws ends the dump. */
  readonly pause?: (() => Promise<void> | undefined) | undefined;
}

/**
 * A request ready to be sent, or several in one datagram. `name` stands in errors. Of several, each has its own sequence number
 * and only the last needs NLM_F_ACK: the kernel reports every failure (ctnetlink.md 6.1).
 */
export interface Request {
  readonly name: string;
  /** Sequence number of the first message; the others follow in steps of 1. */
  readonly sequence: number;
  /** How many messages. Default 1. */
  readonly count?: number;
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Send it on a thread: a large dump may work for long before its first part is there. */
  readonly large?: boolean | undefined;
  /** Shared by dumps that run at the same time. Without it each of them receives on a thread of its own. */
  readonly thread?: SharedThread | undefined;
  /** Takes the failure of message `index`, so that the others go on. Without it the first failure is thrown. */
  readonly failed?: ((index: number, error: KernelError) => void) | undefined;
}

/**
 * Receive buffers for one socket: a small one for answers and the start of a dump, and large ones, made as a dump needs them, so
 * that the kernel fills some while others are read.
 */
export class ReceiveBuffers {
  readonly first: Datagrams;
  readonly #transport: Pick<Transport, 'createDatagrams'>;
  readonly #free: Datagrams[] = [];
  #made = 0;

  constructor(transport: Pick<Transport, 'createDatagrams'>) {
    this.#transport = transport;
    this.first = transport.createDatagrams(FIRST_SLOTS, DATAGRAM_SIZE);
  }

  /** A large buffer, or `undefined` while all are in use. */
  take(): Datagrams | undefined {
    const free = this.#free.pop();
    if (free || this.#made === DUMP_PARTS) return free;
    this.#made++;
    return this.#transport.createDatagrams(DUMP_SLOTS, DATAGRAM_SIZE);
  }

  give(buffer: Datagrams): void {
    if (buffer !== this.first) this.#free.push(buffer);
  }
}

/**
 * Sends a request whose last message carries NLM_F_ACK and that is no dump; visits its answers until the acknowledgement.
 * Everything happens inside the call: the kernel has answered when send(2) returns.
 * @throws KernelError when the kernel refuses, NoAnswerError, SystemError, DecodeError
 */
export function transact(socket: Transport, buffers: ReceiveBuffers, request: Request, visit?: VisitMessage): void {
  socket.send(request.bytes, request.length);
  collect(socket, buffers, request, visit);
}

/** As `transact`, with the sending, in which the kernel does the work, on a thread of the pool. */
export async function transactAsync(
  socket: Transport,
  buffers: ReceiveBuffers,
  request: Request,
  visit?: VisitMessage,
): Promise<void> {
  await socket.sendAsync(request.bytes, request.length);
  collect(socket, buffers, request, visit);
}

/** Takes the answers to a request that was sent. */
function collect(socket: Transport, buffers: ReceiveBuffers, request: Request, visit: VisitMessage | undefined): void {
  const into = buffers.first;
  const visitor = visit ? { message: visit } : undefined;
  let refused: KernelError | undefined;
  const { failed } = request;
  const watched: Request = failed
    ? {
        ...request,
        failed: (index, error) => {
          refused = error;
          failed(index, error);
        },
      }
    : request;
  for (;;) {
    const count = socket.receive(into);
    // Without the privilege the kernel refuses a datagram as a whole, in the name of its first message.
    if (count === -EAGAIN && refused?.errno === EPERM) throw refused;
    if (walkBatch(into, checkCount(count, request), watched, visitor)) return;
  }
}

/** A buffer with what one receive put into it. */
interface Part {
  readonly buffer: Datagrams;
  /** Datagrams, or `-errno`. */
  readonly count: number;
  /** The end of the answer, or of all that can be known of it, is in it. */
  readonly last: boolean;
  /** What was thrown instead. */
  readonly failure?: unknown;
}

/**
 * One thread that receives for several dumps of one caller, who has two processors: a thread for each dump would be one too many.
 * One dump has the thread until it ends; another receives on the caller's thread, whenever that has nothing to visit.
 */
export class SharedThread {
  #busy = false;
  #idle = false;
  #waiting: (() => void)[] = [];

  /** @returns whether the thread was free */
  take(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  /** The dump that had the thread has ended. */
  release(): void {
    this.#busy = false;
    this.setIdle(true);
  }

  /** Whether all that was received on the thread has been visited. */
  setIdle(idle: boolean): void {
    this.#idle = idle;
    if (idle) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Settles when all that was received on the thread has been visited. */
  async idle(): Promise<void> {
    // What has just arrived goes first: it is seen in the next turn of the event loop.
    await nextTurn();
    while (!this.#idle) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Receives the parts of a dump behind the first, one after another, on a thread, as long as there are buffers for them. */
class ReadAhead {
  readonly #socket: Transport;
  readonly #buffers: ReceiveBuffers;
  readonly #sequence: number;
  readonly #thread: SharedThread | undefined;
  readonly #arrived: Part[] = [];
  #receiving: Promise<void> | undefined;
  #ended = false;

  constructor(socket: Transport, buffers: ReceiveBuffers, sequence: number, thread: SharedThread | undefined) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#sequence = sequence;
    this.#thread = thread;
    this.#receive();
  }

  /** A part is on its way: the event loop must turn for the one behind it. */
  get receiving(): boolean {
    return this.#receiving !== undefined;
  }

  /** Not to be asked behind the last part. */
  async next(): Promise<Part> {
    while (this.#arrived.length === 0) {
      this.#thread?.setIdle(true);
      await this.#receiving;
    }
    this.#thread?.setIdle(false);
    return this.#arrived.shift()!;
  }

  /** A part has been visited. */
  release(part: Part): void {
    this.#buffers.give(part.buffer);
    this.#receive();
  }

  /** Nothing more is wanted behind this part. Settles when the kernel no longer writes into a buffer. */
  async stop(part: Part): Promise<void> {
    this.#ended = true;
    await this.#receiving;
    this.#buffers.give(part.buffer);
    for (const part of this.#arrived.splice(0)) this.#buffers.give(part.buffer);
    this.#thread?.release();
  }

  #receive(): void {
    if (this.#ended || this.#receiving) return;
    const buffer = this.#buffers.take();
    if (buffer) this.#receiving = this.#fill(buffer);
  }

  async #fill(buffer: Datagrams): Promise<void> {
    const part = await receivePart(this.#socket, buffer, this.#sequence);
    this.#receiving = undefined;
    this.#arrived.push(part);
    if (part.last) this.#ended = true;
    this.#receive();
  }
}

async function receivePart(socket: Transport, buffer: Datagrams, sequence: number): Promise<Part> {
  try {
    const count = await socket.receiveAsync(buffer);
    return { buffer, count, last: count <= 0 || holdsEnd(buffer, count, sequence) };
  } catch (failure) {
    return { buffer, count: 0, last: true, failure };
  }
}

/**
 * Sends a dump request (NLM_F_DUMP and NLM_F_ACK) and visits every message of the answer. While one part is visited,
 * the kernel fills the next ones on another thread, so the time is the longer of the two, not their sum.
 * A `large` one is begun on another thread as well: the first part takes as long as it takes to find
 * entries that the filter lets through. Without it a small table starts no thread.
 * @throws as `transact`; after an error the socket may be in the middle of the dump, unless the kernel refused it, and must be closed
 */
export async function dump(socket: Transport, buffers: ReceiveBuffers, request: Request, visitor: DumpVisitor): Promise<void> {
  const { large, thread } = request;
  const buffer = buffers.first;
  const sequence = lastSequence(request);
  if (large) await socket.sendAsync(request.bytes, request.length);
  else socket.send(request.bytes, request.length);
  let count = large ? await socket.receiveAsync(buffer) : socket.receive(buffer);
  for (;;) {
    const part: Part = { buffer, count: checkCount(count, request), last: holdsEnd(buffer, count, sequence) };
    if (part.last) return visitPart(part, request, visitor);
    if (!thread || thread.take()) return visitRest(part, new ReadAhead(socket, buffers, sequence, thread), request, visitor);
    await visitPart(part, request, visitor);
    await thread.idle();
    count = socket.receive(buffer);
  }
}

/** Visits a part and all that come behind it. */
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
    else if (ahead?.receiving && i % TURN === TURN - 1) await nextTurn();
  }
}

function checkCount(count: number, request: Request): number {
  if (count > 0) return count;
  if (count === 0 || count === -EAGAIN)
    throw new NoAnswerError(`${request.name}: the kernel gave no answer`, { hint: NOT_KNOWN });
  // No word of the kernel about the request: an error of this socket.
  throw new SystemError('recvmmsg', -count, errnoName(-count), errnoReason(-count), { hint: NOT_KNOWN });
}

/** Whether a batch has the end of the answer: DONE comes alone in its datagram, an error first in its own. */
function holdsEnd(batch: Datagrams, count: number, sequence: number): boolean {
  for (let i = 0; i < count; i++) {
    const at = batch.start(i);
    if (!batch.fromKernel(i) || batch.length(i) < NLMSG_HDRLEN) continue;
    const type = host16(batch.bytes, at + 4);
    if ((type === NLMSG_DONE || type === NLMSG_ERROR) && host32(batch.bytes, at + 8) === sequence) return true;
  }
  return false;
}

/** Visits the messages of a batch that belong to the request. @returns whether its end was among them */
function walkBatch(batch: Datagrams, count: number, request: Request, visitor: DumpVisitor | undefined): boolean {
  let ended = false;
  for (let i = 0; i < count; i++) if (walkSlot(batch, i, request, visitor)) ended = true;
  return ended;
}

/** As `walkBatch`, for datagram `i`. */
function walkSlot(batch: Datagrams, i: number, request: Request, visitor: DumpVisitor | undefined): boolean {
  if (!batch.fromKernel(i)) return false;
  const start = batch.start(i);
  if (batch.truncated(i)) throw new DecodeError(`${request.name}: a datagram larger than ${batch.slotSize} bytes was cut`, start);
  const ended = walkDatagram(batch.bytes, start, start + batch.length(i), request, visitor?.message);
  visitor?.endDatagram?.(batch.bytes);
  return ended;
}

/** As `walkBatch`, for one datagram: `bytes` from `at` to `end`. */
export function walkDatagram(
  bytes: Uint8Array,
  at: number,
  end: number,
  request: Request,
  visit: VisitMessage | undefined,
): boolean {
  let ended = false;
  const last = lastSequence(request);
  while (at + NLMSG_HDRLEN <= end) {
    const length = checkedMessageLength(bytes, at, end, request.name);
    const sequence = host32(bytes, at + 8);
    if (sequence >= request.sequence && sequence <= last) {
      const type = host16(bytes, at + 4);
      const index = sequence - request.sequence;
      if (type >= NLMSG_MIN_TYPE) visit?.(bytes, at, at + length, index);
      else if (type === NLMSG_ERROR || type === NLMSG_DONE) {
        if (sequence === last) ended = true;
        checkResult(bytes, at, at + length, type, request, index);
      }
    }
    at += align4(length);
  }
  return ended;
}

function lastSequence(request: Request): number {
  return request.sequence + (request.count ?? 1) - 1;
}

function checkResult(bytes: Uint8Array, at: number, end: number, type: number, request: Request, index: number): void {
  const payload = at + NLMSG_HDRLEN;
  if (payload + 4 > end) {
    if (type === NLMSG_DONE) return; // A bare DONE carries no result.
    throw new DecodeError(`${request.name}: NLMSG_ERROR without an error`, at);
  }
  const errno = -hostSigned32(bytes, payload);
  if (errno <= 0) return;
  const extended = type === NLMSG_ERROR ? extendedAck(bytes, at, end) : undefined;
  const error = new KernelError(request.name, errno, errnoName(errno), errnoReason(errno), extended);
  if (!request.failed) throw error;
  request.failed(index, error);
}

/** The kernel's own words about an error, where it sent some. Source: ctnetlink.md 1.6. */
function extendedAck(bytes: Uint8Array, message: number, end: number): { detail?: string; offset?: number } {
  const found: { detail?: string; offset?: number } = {};
  const flags = host16(bytes, message + 6);
  const inner = message + NLMSG_HDRLEN + 4;
  if (!(flags & NLM_F_ACK_TLVS) || inner + NLMSG_HDRLEN > end) return found;
  const echoed = flags & NLM_F_CAPPED ? NLMSG_HDRLEN : host32(bytes, inner);
  if (echoed < NLMSG_HDRLEN || inner + echoed > end) return found;
  let at = inner + align4(echoed);
  while (at + NLA_HDRLEN <= end) {
    const length = host16(bytes, at);
    if (length < NLA_HDRLEN || at + length > end) break;
    const type = host16(bytes, at + 2) & NLA_TYPE_MASK;
    if (type === NLMSGERR_ATTR_MSG) {
      let stop = at + NLA_HDRLEN;
      while (stop < at + length && bytes[stop] !== 0) stop++;
      found.detail = new TextDecoder().decode(bytes.subarray(at + NLA_HDRLEN, stop));
    } else if (type === NLMSGERR_ATTR_OFFS && length >= NLA_HDRLEN + 4) found.offset = host32(bytes, at + NLA_HDRLEN);
    at += align4(length);
  }
  return found;
}
