// Channel: a socket with its buffers and sequence numbers. Everything that the library sends goes through one.

import type { KernelError } from '../errors.js';
import type { AnswerVisitor, Request, VisitMessage } from '../wire/answers.js';
import { beginDump, type DumpRequest, type DumpVisitor, dump } from '../wire/dump.js';
import { MessageWriter } from '../wire/message.js';
import { ReceiveBuffers } from '../wire/receive-buffers.js';
import { transact, transactAsync } from '../wire/request.js';
import type { Transport } from '../wire/transport.js';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from '../wire/uapi/netlink.js';
import type { RequestRow } from './requests.js';

/** Appends the attributes of a request. */
export type Build = (message: MessageWriter) => void;

/** Unusual flags and version of a request. */
export interface RequestExtra {
  readonly flags?: number;
  readonly version?: number;
}

/** Receives the refusal of message `index` of a batch. */
type Failed = (index: number, error: KernelError) => void;

/** Requests that were encoded before they are sent, in one piece. */
export interface EncodedRequests {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Numbers them from `first` on, and asks for an acknowledgement of the last. */
  number(first: number): void;
}

/** One request, batch or dump at a time. */
export class Channel {
  readonly #socket: Transport;
  readonly #buffers: ReceiveBuffers;
  readonly #message = new MessageWriter();
  #sequence = 0;
  #batched = 0;
  /** A dump has begun and not ended: the kernel starts no other one on this socket. */
  #inDump = false;

  constructor(transport: Transport) {
    this.#socket = transport;
    this.#buffers = new ReceiveBuffers(transport);
  }

  /** One request, acknowledged. */
  transact(
    { name, type }: RequestRow,
    family: number,
    build: Build | undefined,
    visit?: VisitMessage,
    extra: RequestExtra = {},
  ): void {
    this.#begin(type, NLM_F_REQUEST | NLM_F_ACK | (extra.flags ?? 0), family, build, extra.version);
    const { bytes, length } = this.#message;
    transact(this.#socket, this.#buffers, { name, sequence: this.#sequence, bytes, length }, visit);
  }

  /** Visits the entries of a dump. */
  async dump(
    { name, type }: RequestRow,
    family: number,
    build: Build | undefined,
    visitor: DumpVisitor,
    way: Pick<DumpRequest, 'large' | 'thread' | 'ahead' | 'endsInside'> = {},
  ): Promise<void> {
    this.#begin(type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP, family, build);
    const { bytes, length } = this.#message;
    const request = { ...way, name, sequence: this.#sequence, bytes, length };
    this.#inDump = true;
    await dump(this.#socket, this.#buffers, request, visitor);
    this.#inDump = false;
  }

  /** Begins a dump of everything and visits its first part. Afterwards the channel can only be closed. */
  async beginDump(
    { name, type }: RequestRow,
    family: number,
    visitor: AnswerVisitor,
    { large }: Pick<DumpRequest, 'large'>,
  ): Promise<void> {
    this.#begin(type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP, family, undefined);
    const { bytes, length } = this.#message;
    this.#inDump = true;
    await beginDump(this.#socket, this.#buffers, { large, name, sequence: this.#sequence, bytes, length }, visitor);
  }

  /** As `transact`, but on another thread, for a request that keeps the kernel busy. */
  async transactAsync({ name, type }: RequestRow, family: number, build: Build | undefined, version?: number): Promise<void> {
    this.#begin(type, NLM_F_REQUEST | NLM_F_ACK, family, build, version);
    const { bytes, length } = this.#message;
    await transactAsync(this.#socket, this.#buffers, { name, sequence: this.#sequence, bytes, length });
  }

  /** Adds a request to the batch that `sendBatch` sends. @returns its index there */
  addToBatch({ type }: RequestRow, flags: number, family: number, build: Build): number {
    this.#append(type, NLM_F_REQUEST | flags, family, build);
    return this.#batched++;
  }

  /**
   * Sends the batch; `failed` gets each refusal. In the `background` the kernel works on another thread, and nothing may be added before
   * the promise settles. @throws KernelError if the kernel refuses the whole batch
   */
  async sendBatch({ name }: RequestRow, visit: VisitMessage | undefined, failed: Failed, background: boolean): Promise<void> {
    const count = this.#batched;
    if (count === 0) return;
    this.#batched = 0;
    this.#message.addFlags(NLM_F_ACK);
    const { bytes, length } = this.#message;
    await this.#run({ name, sequence: this.#sequence - count + 1, count, bytes, length, failed }, visit, background);
  }

  /** As `sendBatch`, for requests that were encoded before. */
  async sendEncoded({ name }: RequestRow, requests: EncodedRequests, failed: Failed, background: boolean): Promise<void> {
    const { count } = requests;
    if (count === 0) return;
    const sequence = this.#sequence + 1;
    this.#sequence += count;
    requests.number(sequence);
    const { bytes, length } = requests;
    await this.#run({ name, sequence, count, bytes, length, failed }, undefined, background);
  }

  /** Whether it can take another request. Sequence numbers are 32 bits wide, and an answer to an older request may still arrive. */
  get reusable(): boolean {
    return !this.#inDump && this.#sequence < 0x80000000;
  }

  close(): void {
    this.#socket.close();
  }

  #begin(type: number, flags: number, family: number, build: Build | undefined, version?: number): void {
    this.#message.reset();
    this.#appendMessage(type, flags, family, build, version);
  }

  #append(type: number, flags: number, family: number, build: Build): void {
    if (this.#batched === 0) this.#message.reset();
    this.#appendMessage(type, flags, family, build);
  }

  #appendMessage(type: number, flags: number, family: number, build: Build | undefined, version?: number): void {
    this.#message.begin(type, flags, ++this.#sequence, family, version);
    build?.(this.#message);
    this.#message.end();
  }

  #run(request: Request, visit: VisitMessage | undefined, background: boolean): Promise<void> | void {
    return (background ? transactAsync : transact)(this.#socket, this.#buffers, request, visit);
  }
}
