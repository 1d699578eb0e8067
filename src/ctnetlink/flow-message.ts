// A flow object → the message that the kernel sends for it in a dump, so that views, filters and writers, which know only messages, also
// serve flows from elsewhere: kept, copied, sent between threads, read from JSON. FlowReader does the reverse. Order of attributes: as
// the kernel sends them (net/netfilter/nf_conntrack_netlink.c, ctnetlink_fill_info).

import { ValueError } from '../errors.js';
import { MessageWriter } from '../wire/message.js';
import { NLM_F_MULTI } from '../wire/uapi/netlink.js';
import { NFNL_SUBSYS_CTNETLINK } from '../wire/uapi/nfnetlink.js';
import { putTuple, type TupleSpec } from './encode.js';
import type { Flow, FlowJson } from './flow.js';
import { labelBytes } from './flow-change.js';
import { SEQ_ADJ, SYNPROXY } from './flow-members.js';
import { LABEL_BITS, type ProtocolState, putProtocol, putSequenceAdjustment, putSynproxy, type TcpFlags } from './flow-spec.js';
import { MAX_U8, MAX_U16, MAX_U32, Members } from './members.js';
import { readProtonum, readTriple, tupleMembers } from './new-flow.js';
import { readFamily, readLabels, readState, readStatus } from './protocol-input.js';
import { DCCP_ROLES, dccp } from './protocols/dccp.js';
import { sctp } from './protocols/sctp.js';
import { tcp } from './protocols/tcp.js';
import { AF_UNSPEC } from './uapi/in.js';
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_HELP,
  CTA_HELP_INFO,
  CTA_HELP_NAME,
  CTA_ID,
  CTA_LABELS,
  CTA_MARK,
  CTA_SECCTX,
  CTA_SECCTX_NAME,
  CTA_SECMARK,
  CTA_SEQ_ADJ_ORIG,
  CTA_SEQ_ADJ_REPLY,
  CTA_STATUS,
  CTA_TIMEOUT,
  CTA_TIMESTAMP,
  CTA_TIMESTAMP_START,
  CTA_TIMESTAMP_STOP,
  CTA_TUPLE_MASTER,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_USE,
  CTA_ZONE,
  IPCTNL_MSG_CT_NEW,
} from './uapi/nfnetlink-conntrack.js';
import { createFlowView, type View } from './view.js';

/** What precedes the attributes. */
export interface FlowMessageHeader {
  /** nlmsg_type. Default: an entry, as in a dump. */
  readonly type?: number;
  /** nlmsg_flags. Default: as in a dump. */
  readonly flags?: number;
  readonly sequence?: number;
}

/** The highest label bit that an attribute has room for. Kernels store 128. */
const MAX_LABEL = 0x3ffe * 32 - 1;

/**
 * Appends the message of a flow: one that was read, a copy of it, or its JSON. It ignores members that flows do not have. `seqAdj` and
 * `synproxy`, which flows lack when all their numbers are 0, may be left out.
 * @throws ValueError if it is not a flow; then discard the message
 */
export function putFlowMessage(message: MessageWriter, flow: Flow | FlowJson, header: FlowMessageHeader = {}): void {
  const { type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, flags = NLM_F_MULTI, sequence = 0 } = header;
  const members = new Members(flow, '', false);
  const original = sideOf(members, 'original');
  const reply = sideOf(members, 'reply');
  const protonum = readProtonum(members, protonumOf(original));
  message.begin(type, flags, sequence, familyOf(members));
  putTuple(message, CTA_TUPLE_ORIG, tupleMembers(original));
  putTuple(message, CTA_TUPLE_REPLY, completeTuple(reply));
  u16(message, CTA_ZONE, members, 'zone');
  const status = readStatus(members);
  if (status !== undefined) message.be32(CTA_STATUS, status);
  u32(message, CTA_MARK, members, 'mark');
  u32(message, CTA_SECMARK, members, 'secmark');
  putSecurityContext(message, members);
  u32(message, CTA_ID, members, 'id');
  u32(message, CTA_USE, members, 'use');
  const master = members.members('master', false);
  if (master) putTuple(message, CTA_TUPLE_MASTER, completeTuple(master));
  u32(message, CTA_TIMEOUT, members, 'timeout');
  const protocol = protocolState(members, protonum);
  if (protocol) putProtocol(message, protocol);
  putCounters(message, CTA_COUNTERS_ORIG, original);
  putCounters(message, CTA_COUNTERS_REPLY, reply);
  putTimestamp(message, members);
  putHelper(message, members);
  putLabels(message, members);
  putSeqAdj(message, CTA_SEQ_ADJ_ORIG, original);
  putSeqAdj(message, CTA_SEQ_ADJ_REPLY, reply);
  const synproxy = readTriple(members, 'synproxy', SYNPROXY);
  if (synproxy) putSynproxy(message, synproxy);
  message.end();
}

/** `unknown` is a family whose number was not kept. */
function familyOf(members: Members): number {
  if (members.get('family') === 'unknown') return AF_UNSPEC;
  const family = readFamily(members);
  if (family === undefined) throw notAFlow(members.at('family'));
  return family;
}

/** A flow has both directions, but a list with selected members may not have read them. */
function sideOf(members: Members, name: 'original' | 'reply'): Members {
  const side = members.members(name, false);
  if (!side) throw notAFlow(members.at(name));
  return side;
}

function notAFlow(member: string): ValueError {
  return new ValueError(`${member} is missing`, { hint: 'give a whole flow, not some of its members' });
}

function protonumOf(tuple: Members): number {
  const protonum = tuple.number('protonum', MAX_U8);
  if (protonum === undefined) throw notAFlow(tuple.at('protonum'));
  return protonum;
}

function completeTuple(tuple: Members): TupleSpec {
  return { ...tupleMembers(tuple), protonum: protonumOf(tuple) };
}

function u16(message: MessageWriter, type: number, members: Members, name: string): void {
  const value = members.number(name, MAX_U16);
  if (value !== undefined) message.be16(type, value);
}

function u32(message: MessageWriter, type: number, members: Members, name: string): void {
  const value = members.number(name, MAX_U32);
  if (value !== undefined) message.be32(type, value);
}

function u64(message: MessageWriter, type: number, value: bigint | undefined): void {
  if (value !== undefined) message.be64(type, value);
}

function putCounters(message: MessageWriter, type: number, side: Members): void {
  const packets = side.number64('packets');
  const bytes = side.number64('bytes');
  if (packets === undefined && bytes === undefined) return;
  const nest = message.nest(type);
  u64(message, CTA_COUNTERS_PACKETS, packets);
  u64(message, CTA_COUNTERS_BYTES, bytes);
  message.endNest(nest);
}

function putTimestamp(message: MessageWriter, members: Members): void {
  const times = members.members('timestamp', false);
  if (!times) return;
  const nest = message.nest(CTA_TIMESTAMP);
  u64(message, CTA_TIMESTAMP_START, times.number64('start'));
  u64(message, CTA_TIMESTAMP_STOP, times.number64('stop'));
  message.endNest(nest);
}

function putSecurityContext(message: MessageWriter, members: Members): void {
  const secctx = members.string('secctx');
  if (secctx === undefined) return;
  const nest = message.nest(CTA_SECCTX);
  message.string(CTA_SECCTX_NAME, secctx);
  message.endNest(nest);
}

function putHelper(message: MessageWriter, members: Members): void {
  const name = members.string('helper');
  const info = members.hex('helperInfo');
  if (name === undefined && !info) return;
  const nest = message.nest(CTA_HELP);
  if (name !== undefined) message.string(CTA_HELP_NAME, name);
  if (info) message.raw(CTA_HELP_INFO, info);
  message.endNest(nest);
}

/** As many words as the kernel sends, and more only if a bit needs them. */
function putLabels(message: MessageWriter, members: Members): void {
  const labels = readLabels(members, 'labels', MAX_LABEL);
  if (!labels) return;
  const highest = labels.reduce((highest, bit) => Math.max(highest, bit), LABEL_BITS - 1);
  message.raw(CTA_LABELS, labelBytes(labels, ((highest >> 5) + 1) * 4));
}

function putSeqAdj(message: MessageWriter, type: number, side: Members): void {
  const seqAdj = readTriple(side, 'seqAdj', SEQ_ADJ);
  if (seqAdj) putSequenceAdjustment(message, type, seqAdj);
}

/** The state belongs to the flow's protocol; the other members are written whatever the protocol is. */
function protocolState(members: Members, protonum: number): ProtocolState | undefined {
  const state = readState(members, protonum);
  const tcpPart = members.members('tcp', false);
  const sctpPart = members.members('sctp', false);
  const dccpPart = members.members('dccp', false);
  if (state === undefined && !tcpPart && !sctpPart && !dccpPart) return undefined;
  const stateOf = (number: number) => (number === protonum ? state : undefined);
  const role = dccpPart?.oneOf('role', DCCP_ROLES);
  return {
    ...((tcpPart || protonum === tcp.number) && {
      tcp: {
        state: stateOf(tcp.number),
        wscaleOriginal: tcpPart?.number('wscaleOriginal', MAX_U8),
        wscaleReply: tcpPart?.number('wscaleReply', MAX_U8),
        flagsOriginal: sentTcpFlags(tcpPart, 'flagsOriginal'),
        flagsReply: sentTcpFlags(tcpPart, 'flagsReply'),
      },
    }),
    ...((sctpPart || protonum === sctp.number) && {
      sctp: {
        state: stateOf(sctp.number),
        vtagOriginal: sctpPart?.number('vtagOriginal', MAX_U32),
        vtagReply: sctpPart?.number('vtagReply', MAX_U32),
      },
    }),
    ...((dccpPart || protonum === dccp.number) && {
      dccp: {
        state: stateOf(dccp.number),
        role: role === undefined ? undefined : DCCP_ROLES.indexOf(role),
        handshakeSeq: dccpPart?.number64('handshakeSeq'),
      },
    }),
  };
}

/** The kernel sends a mask of 0 beside the flags. */
function sentTcpFlags(tcpPart: Members | undefined, name: string): TcpFlags | undefined {
  const flags = tcpPart?.number(name, MAX_U8);
  return flags === undefined ? undefined : { flags, mask: 0 };
}

/** Makes views of flows, one after another in the same memory. */
export class FlowViews {
  readonly #message = new MessageWriter();
  readonly #view = createFlowView();

  /** A view of the flow, valid until the next call. @throws ValueError if it is not a flow */
  of(flow: Flow | FlowJson): View {
    this.#message.reset();
    putFlowMessage(this.#message, flow);
    this.#view.decode(this.#message.bytes, 0, this.#message.length);
    return this.#view;
  }
}

/** Gives messages back what is kept apart from them (`View.apart`), one after another in the same memory. */
export class WholeViews {
  readonly #message = new MessageWriter();
  readonly #view = createFlowView();

  /**
   * The message of a view with counters (packets and bytes of the original direction, of the reply) and the time when the flow began, in
   * nanoseconds since the epoch; 0: not known. Valid until the next call.
   */
  of(view: View, counters: Float64Array | undefined, start: bigint): View {
    const message = this.#message;
    message.reset();
    message.append(view.bytes, view.start, view.start + view.size);
    if (counters) {
      putAmounts(message, CTA_COUNTERS_ORIG, counters[0]!, counters[1]!);
      putAmounts(message, CTA_COUNTERS_REPLY, counters[2]!, counters[3]!);
    }
    if (start !== 0n) {
      const nest = message.nest(CTA_TIMESTAMP);
      message.be64(CTA_TIMESTAMP_START, start);
      message.endNest(nest);
    }
    this.#view.decode(message.bytes, 0, message.length);
    return this.#view;
  }
}

function putAmounts(message: MessageWriter, type: number, packets: number, bytes: number): void {
  const nest = message.nest(type);
  message.amount64(CTA_COUNTERS_PACKETS, packets);
  message.amount64(CTA_COUNTERS_BYTES, bytes);
  message.endNest(nest);
}
