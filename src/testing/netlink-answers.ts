// The kernel's side of netlink: the messages of a datagram one after another, acknowledgements, errors and dumps. It knows nothing of
// flows. Source: net/netlink/af_netlink.c, net/netfilter/nfnetlink.c.

import { DecodeError } from '../errors.js';
import { host16, host32, putHost16, putHost32 } from '../wire/bytes.js';
import { ERANGE, errnoName } from '../wire/errno.js';
import { align4, MessageWriter, messageLength } from '../wire/message.js';
import {
  NLA_HDRLEN,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from '../wire/uapi/netlink.js';
import { NFNL_ATTRS } from '../wire/uapi/nfnetlink.js';

/** The kernel refuses a request. */
export class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(errnoName(errno));
    this.errno = errno;
  }
}

/** A message of a datagram: from `at` to `end` in `bytes`. */
export interface Message {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly family: number;
  readonly version: number;
  /** Who sent it. */
  readonly portId: number;
  /** The answer is a list with an end. */
  readonly isDump: boolean;
}

/** Appends the attributes of an answer. */
export type Put = (message: MessageWriter) => void;

/** The answer to a request besides an acknowledgement: messages, made by `compose`. `undefined` for none. */
export type Answer = readonly Uint8Array[] | undefined;

/**
 * What the kernel sends back for a datagram. `run` does what a message requests; the answer is a dump only if it returns a list.
 * @returns datagrams
 */
export function answerDatagram(datagram: Uint8Array, portId: number, run: (message: Message) => Answer): Uint8Array[] {
  const answers: Uint8Array[] = [];
  for (let at = 0; at + NLMSG_HDRLEN <= datagram.length; ) {
    const length = messageLength(datagram, at, datagram.length);
    if (length === 0) break; // the rest of the datagram is ignored
    answers.push(...answerMessage(readMessage(datagram, at, at + length, portId), run));
    at += align4(length);
  }
  return answers;
}

/** A message that answers `request`. */
export function compose(request: Pick<Message, 'sequence' | 'portId'>, type: number, family: number, put: Put): Uint8Array {
  const out = new MessageWriter();
  out.begin(type, NLM_F_MULTI, request.sequence, family);
  put(out);
  out.end();
  putHost32(out.bytes, PORT_ID, request.portId);
  return out.bytes.subarray(0, out.length);
}

/** Places in struct nlmsghdr. */
const TYPE = 4;
const FLAGS = 6;
const SEQUENCE = 8;
export const PORT_ID = 12;

function readMessage(bytes: Uint8Array, at: number, end: number, portId: number): Message {
  const flags = host16(bytes, at + FLAGS);
  return {
    bytes,
    at,
    end,
    type: host16(bytes, at + TYPE),
    flags,
    sequence: host32(bytes, at + SEQUENCE),
    family: bytes[at + NLMSG_HDRLEN] ?? 0,
    version: bytes[at + NLMSG_HDRLEN + 1] ?? 0,
    portId,
    isDump: (flags & NLM_F_DUMP) !== 0,
  };
}

function answerMessage(message: Message, run: (message: Message) => Answer): Uint8Array[] {
  const { flags, at, end, isDump } = message;
  const acknowledged = (flags & NLM_F_ACK) !== 0 ? [result(message, 0)] : [];
  if ((flags & NLM_F_REQUEST) === 0 || end - at < NFNL_ATTRS) return acknowledged;
  try {
    const messages = run(message);
    return isDump && messages ? [...inDatagrams(messages), done(message)] : [...(messages ?? []), ...acknowledged];
  } catch (error) {
    if (error instanceof Refusal) return [result(message, error.errno)];
    if (error instanceof DecodeError) return [result(message, ERANGE, error.offset - at)];
    throw error;
  }
}

/** The kernel fills the datagrams of a dump up to here. */
const DATAGRAM_SIZE = 32_000;

function inDatagrams(messages: readonly Uint8Array[]): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  const part = new MessageWriter(DATAGRAM_SIZE);
  const end = () => {
    if (part.length > 0) datagrams.push(part.bytes.slice(0, part.length));
    part.reset();
  };
  for (const message of messages) {
    if (part.length + message.length > DATAGRAM_SIZE) end();
    part.append(message);
  }
  end();
  return datagrams;
}

/** struct nlmsgerr after its header: the errno, and the header of the request. */
const NLMSGERR_LEN = 4 + NLMSG_HDRLEN;
const REASON = new TextEncoder().encode('Attribute failed policy validation\0');

/** NLMSG_ERROR as a socket with NETLINK_CAP_ACK and NETLINK_EXT_ACK gets it. `offset`: the attribute that is wrong. */
function result(request: Message, errno: number, offset?: number): Uint8Array {
  const reason = offset === undefined ? 0 : 2 * NLA_HDRLEN + align4(REASON.length) + 4;
  const bytes = new Uint8Array(NLMSG_HDRLEN + NLMSGERR_LEN + reason);
  putHeader(bytes, NLMSG_ERROR, NLM_F_CAPPED | (offset === undefined ? 0 : NLM_F_ACK_TLVS), request);
  putHost32(bytes, NLMSG_HDRLEN, -errno >>> 0);
  bytes.set(request.bytes.subarray(request.at, request.at + NLMSG_HDRLEN), NLMSG_HDRLEN + 4);
  if (offset !== undefined) {
    let at = NLMSG_HDRLEN + NLMSGERR_LEN;
    putHost16(bytes, at, NLA_HDRLEN + REASON.length);
    putHost16(bytes, at + 2, NLMSGERR_ATTR_MSG);
    bytes.set(REASON, at + NLA_HDRLEN);
    at += NLA_HDRLEN + align4(REASON.length);
    putHost16(bytes, at, NLA_HDRLEN + 4);
    putHost16(bytes, at + 2, NLMSGERR_ATTR_OFFS);
    putHost32(bytes, at + NLA_HDRLEN, offset);
  }
  return bytes;
}

function done(request: Message): Uint8Array {
  const bytes = new Uint8Array(NLMSG_HDRLEN + 4);
  putHeader(bytes, NLMSG_DONE, NLM_F_MULTI, request);
  return bytes;
}

function putHeader(bytes: Uint8Array, type: number, flags: number, { sequence, portId }: Message): void {
  putHost32(bytes, 0, bytes.length);
  putHost16(bytes, TYPE, type);
  putHost16(bytes, FLAGS, flags);
  putHost32(bytes, SEQUENCE, sequence);
  putHost32(bytes, PORT_ID, portId);
}
