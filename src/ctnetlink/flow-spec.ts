// FlowSpec → request attributes: what an entry should be (create) or become (update). Their order: docs/behaviour.md 4.6. Source:
// linux/netfilter/nfnetlink_conntrack.h; which attribute the kernel accepts when: docs/kernel.md 2.2, 3.4 to 3.9.

import type { MessageWriter } from '../wire/message.js';
import type { AddressBytes } from './address.js';
import { putTuple, type TupleSpec } from './encode.js';
import {
  CTA_HELP,
  CTA_HELP_NAME,
  CTA_LABELS,
  CTA_LABELS_MASK,
  CTA_MARK,
  CTA_MARK_MASK,
  CTA_NAT_DST,
  CTA_NAT_PROTO,
  CTA_NAT_SRC,
  CTA_NAT_V4_MINIP,
  CTA_NAT_V6_MINIP,
  CTA_PROTOINFO,
  CTA_PROTOINFO_DCCP,
  CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ,
  CTA_PROTOINFO_DCCP_ROLE,
  CTA_PROTOINFO_DCCP_STATE,
  CTA_PROTOINFO_SCTP,
  CTA_PROTOINFO_SCTP_STATE,
  CTA_PROTOINFO_SCTP_VTAG_ORIGINAL,
  CTA_PROTOINFO_SCTP_VTAG_REPLY,
  CTA_PROTOINFO_TCP,
  CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
  CTA_PROTOINFO_TCP_FLAGS_REPLY,
  CTA_PROTOINFO_TCP_STATE,
  CTA_PROTOINFO_TCP_WSCALE_ORIGINAL,
  CTA_PROTOINFO_TCP_WSCALE_REPLY,
  CTA_PROTONAT_PORT_MIN,
  CTA_SEQ_ADJ_ORIG,
  CTA_SEQ_ADJ_REPLY,
  CTA_SEQADJ_CORRECTION_POS,
  CTA_SEQADJ_OFFSET_AFTER,
  CTA_SEQADJ_OFFSET_BEFORE,
  CTA_STATUS,
  CTA_SYNPROXY,
  CTA_SYNPROXY_ISN,
  CTA_SYNPROXY_ITS,
  CTA_SYNPROXY_TSOFF,
  CTA_TIMEOUT,
  CTA_TUPLE_MASTER,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
} from './uapi/nfnetlink-conntrack.js';

/** Connection labels that kernels store. */
export const LABEL_BITS = 128;

/** struct nf_ct_tcp_flags: `flags` are set within `mask`, the other bits stay. */
export interface TcpFlags {
  readonly flags: number;
  readonly mask: number;
}

/** Protocol state. Exactly one of the members. States are kernel numbers. */
export interface ProtocolState {
  readonly tcp?: {
    readonly state?: number | undefined;
    /** The kernel uses it only if both are given and both directions have the window scale flag. */
    readonly wscaleOriginal?: number | undefined;
    readonly wscaleReply?: number | undefined;
    readonly flagsOriginal?: TcpFlags | undefined;
    readonly flagsReply?: TcpFlags | undefined;
  };
  /** The kernel requires all three or none. */
  readonly sctp?: {
    readonly state?: number | undefined;
    readonly vtagOriginal?: number | undefined;
    readonly vtagReply?: number | undefined;
  };
  readonly dccp?: {
    readonly state?: number | undefined;
    readonly role?: number | undefined;
    readonly handshakeSeq?: bigint | undefined;
  };
}

/** A translation to an address, and optionally to a port. The kernel puts it into the reply tuple itself. */
export interface NatSpec {
  readonly address: AddressBytes;
  readonly port?: number | undefined;
}

/** All three are needed. Source: struct nf_ct_seqadj. */
export interface SequenceAdjustment {
  readonly correctionPos: number;
  readonly offsetBefore: number;
  readonly offsetAfter: number;
}

/** An entry as a request states it. In an update, absent members stay unchanged. */
export interface FlowSpec {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  readonly original: TupleSpec;
  /** Not translated: the exact inverse of `original`, with the translation in `srcNat` and `dstNat`. */
  readonly reply?: TupleSpec | undefined;
  /** IPS_* bits; CONFIRMED must be among them. Setting is all that the kernel permits. */
  readonly status?: number | undefined;
  /** Seconds. Needed on create. */
  readonly timeout?: number | undefined;
  /** `new = (old & ~mask) ^ mark`. */
  readonly mark?: number | undefined;
  readonly markMask?: number | undefined;
  readonly protocol?: ProtocolState | undefined;
  /** Only on create. */
  readonly srcNat?: NatSpec | undefined;
  /** Only on create. */
  readonly dstNat?: NatSpec | undefined;
  /** Zone of both directions, part of the key. */
  readonly zone?: number | undefined;
  /** 16 bytes: bit n in host-order word n / 32. `new = (old & ~mask) ^ labels`. */
  readonly labels?: Uint8Array | undefined;
  readonly labelsMask?: Uint8Array | undefined;
  /** Only on create: a helper must be known to the kernel for this protocol. */
  readonly helper?: string | undefined;
  /** Only on create: original tuple of the flow that this one belongs to. It must exist. */
  readonly master?: TupleSpec | undefined;
  readonly seqAdjOriginal?: SequenceAdjustment | undefined;
  readonly seqAdjReply?: SequenceAdjustment | undefined;
  readonly synproxy?: { readonly isn: number; readonly its: number; readonly tsoff: number } | undefined;
}

/** Appends everything the spec states. */
export function putFlow(message: MessageWriter, flow: FlowSpec): void {
  putTuple(message, CTA_TUPLE_ORIG, flow.original);
  if (flow.reply) putTuple(message, CTA_TUPLE_REPLY, flow.reply);
  if (flow.status !== undefined) message.be32(CTA_STATUS, flow.status);
  if (flow.timeout !== undefined) message.be32(CTA_TIMEOUT, flow.timeout);
  if (flow.mark !== undefined) message.be32(CTA_MARK, flow.mark);
  if (flow.markMask !== undefined) message.be32(CTA_MARK_MASK, flow.markMask);
  if (flow.protocol) putProtocol(message, flow.protocol);
  if (flow.srcNat) putNat(message, CTA_NAT_SRC, flow.srcNat);
  if (flow.dstNat) putNat(message, CTA_NAT_DST, flow.dstNat);
  if (flow.zone !== undefined) message.be16(CTA_ZONE, flow.zone);
  if (flow.labels) message.raw(CTA_LABELS, flow.labels);
  if (flow.labelsMask) message.raw(CTA_LABELS_MASK, flow.labelsMask);
  if (flow.helper !== undefined) {
    const nest = message.nest(CTA_HELP);
    message.string(CTA_HELP_NAME, flow.helper);
    message.endNest(nest);
  }
  if (flow.master) putTuple(message, CTA_TUPLE_MASTER, flow.master);
  if (flow.seqAdjOriginal) putSequenceAdjustment(message, CTA_SEQ_ADJ_ORIG, flow.seqAdjOriginal);
  if (flow.seqAdjReply) putSequenceAdjustment(message, CTA_SEQ_ADJ_REPLY, flow.seqAdjReply);
  if (flow.synproxy) putSynproxy(message, flow.synproxy);
}

/** Appends CTA_PROTOINFO. */
export function putProtocol(message: MessageWriter, { tcp, sctp, dccp }: ProtocolState): void {
  const outer = message.nest(CTA_PROTOINFO);
  if (tcp) {
    const nest = message.nest(CTA_PROTOINFO_TCP);
    if (tcp.state !== undefined) message.u8(CTA_PROTOINFO_TCP_STATE, tcp.state);
    if (tcp.wscaleOriginal !== undefined) message.u8(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, tcp.wscaleOriginal);
    if (tcp.wscaleReply !== undefined) message.u8(CTA_PROTOINFO_TCP_WSCALE_REPLY, tcp.wscaleReply);
    if (tcp.flagsOriginal) message.pair8(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, tcp.flagsOriginal.flags, tcp.flagsOriginal.mask);
    if (tcp.flagsReply) message.pair8(CTA_PROTOINFO_TCP_FLAGS_REPLY, tcp.flagsReply.flags, tcp.flagsReply.mask);
    message.endNest(nest);
  }
  if (sctp) {
    const nest = message.nest(CTA_PROTOINFO_SCTP);
    if (sctp.state !== undefined) message.u8(CTA_PROTOINFO_SCTP_STATE, sctp.state);
    if (sctp.vtagOriginal !== undefined) message.be32(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, sctp.vtagOriginal);
    if (sctp.vtagReply !== undefined) message.be32(CTA_PROTOINFO_SCTP_VTAG_REPLY, sctp.vtagReply);
    message.endNest(nest);
  }
  if (dccp) {
    const nest = message.nest(CTA_PROTOINFO_DCCP);
    if (dccp.state !== undefined) message.u8(CTA_PROTOINFO_DCCP_STATE, dccp.state);
    if (dccp.role !== undefined) message.u8(CTA_PROTOINFO_DCCP_ROLE, dccp.role);
    if (dccp.handshakeSeq !== undefined) message.be64(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, dccp.handshakeSeq);
    message.endNest(nest);
  }
  message.endNest(outer);
}

function putNat(message: MessageWriter, type: number, nat: NatSpec): void {
  const nest = message.nest(type);
  message.raw(nat.address.length === 4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, nat.address);
  if (nat.port !== undefined) {
    const proto = message.nest(CTA_NAT_PROTO);
    message.be16(CTA_PROTONAT_PORT_MIN, nat.port);
    message.endNest(proto);
  }
  message.endNest(nest);
}

/** Appends CTA_SEQ_ADJ_ORIG or CTA_SEQ_ADJ_REPLY. */
export function putSequenceAdjustment(message: MessageWriter, type: number, adjustment: SequenceAdjustment): void {
  const nest = message.nest(type);
  message.be32(CTA_SEQADJ_CORRECTION_POS, adjustment.correctionPos);
  message.be32(CTA_SEQADJ_OFFSET_BEFORE, adjustment.offsetBefore);
  message.be32(CTA_SEQADJ_OFFSET_AFTER, adjustment.offsetAfter);
  message.endNest(nest);
}

/** Appends CTA_SYNPROXY. */
export function putSynproxy(message: MessageWriter, { isn, its, tsoff }: NonNullable<FlowSpec['synproxy']>): void {
  const nest = message.nest(CTA_SYNPROXY);
  message.be32(CTA_SYNPROXY_ISN, isn);
  message.be32(CTA_SYNPROXY_ITS, its);
  message.be32(CTA_SYNPROXY_TSOFF, tsoff);
  message.endNest(nest);
}
