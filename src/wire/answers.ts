// The answers to a request: whose they are, where they end, and what the kernel says in them. Knows netlink framing and nothing of
// conntrack. It finishes on DONE or NLMSG_ERROR with our sequence number, never on a missing MULTI: docs/kernel.md 1.3, 1.6.

import { DecodeError, KernelError, NoAnswerError, SystemError } from '../errors.js';
import { host16, host32, hostSigned32 } from './bytes.js';
import type { Datagrams } from './datagrams.js';
import { EAGAIN, errnoName, errnoReason } from './errno.js';
import { align4, checkedMessageLength, messageLength } from './message.js';
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

const NOT_KNOWN = 'the answer is lost: the change may have been made';

/**
 * A request ready to be sent, or several in one datagram. Errors contain `name`. If there are several, each has its own sequence number,
 * and only the last needs NLM_F_ACK, because the kernel reports every failure (docs/kernel.md 6.1).
 */
export interface Request {
  readonly name: string;
  /** Sequence number of the first message; the others follow in steps of 1. */
  readonly sequence: number;
  /** How many messages. Default 1. */
  readonly count?: number;
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Receives the failure of message `index`, and the others go on. Without it, the first failure is thrown. */
  readonly failed?: ((index: number, error: KernelError) => void) | undefined;
}

/**
 * Called for each message of an answer. The bytes are borrowed: they are overwritten after the batch. `index` says which message of the
 * request this answers.
 */
export type VisitMessage = (bytes: Uint8Array, at: number, end: number, index: number) => void;

/** Receives the messages of an answer. */
export interface AnswerVisitor {
  readonly message: VisitMessage;
  /** All messages of one datagram have been visited; `bytes` still holds them. */
  readonly endDatagram?: ((bytes: Uint8Array) => void) | undefined;
}

/** @returns the number of datagrams received. @throws NoAnswerError, SystemError */
export function checkCount(count: number, request: Request): number {
  if (count > 0) return count;
  if (count === 0 || count === -EAGAIN)
    throw new NoAnswerError(`${request.name}: the kernel gave no answer`, { hint: NOT_KNOWN });
  // The kernel has said nothing about the request: this is an error of the socket.
  throw new SystemError('recvmmsg', -count, errnoName(-count), errnoReason(-count), { hint: NOT_KNOWN });
}

/**
 * Whether a batch contains the end of the answer: DONE is alone in its datagram, unless it may stand `inside`, and an error is the first
 * message of its own.
 */
export function holdsEnd(batch: Datagrams, count: number, sequence: number, inside = false): boolean {
  for (let i = 0; i < count; i++) {
    if (!batch.fromKernel(i)) continue;
    const start = batch.start(i);
    const end = start + batch.length(i);
    for (let at = start; at + NLMSG_HDRLEN <= end; ) {
      const type = host16(batch.bytes, at + 4);
      if ((type === NLMSG_DONE || type === NLMSG_ERROR) && host32(batch.bytes, at + 8) === sequence) return true;
      const length = inside ? messageLength(batch.bytes, at, end) : 0;
      if (length === 0) break;
      at += align4(length);
    }
  }
  return false;
}

/** Visits the messages of a batch that belong to the request. @returns whether the end of the answer was among them */
export function walkBatch(batch: Datagrams, count: number, request: Request, visitor: AnswerVisitor | undefined): boolean {
  let ended = false;
  for (let i = 0; i < count; i++) if (walkSlot(batch, i, request, visitor)) ended = true;
  return ended;
}

/** As `walkBatch`, for datagram `i`. */
export function walkSlot(batch: Datagrams, i: number, request: Request, visitor: AnswerVisitor | undefined): boolean {
  if (!batch.fromKernel(i)) return false;
  const start = batch.start(i);
  if (batch.truncated(i))
    throw new DecodeError(`${request.name}: a datagram larger than ${batch.slotSize} bytes was truncated`, start);
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

/** The result in the last message of an answer. */
export function lastSequence(request: Request): number {
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

/** The kernel's own words about an error, if it sent any. Source: docs/kernel.md 1.6. */
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
