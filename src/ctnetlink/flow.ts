// Flow: one tracked connection as an owned object, and how a view becomes one.

import { familyName } from './address.js';
import { AddressTexts, StringTexts } from './address-texts.js';
import { type DirectionRow, MASTER, ORIGINAL, ORIGINAL_SIDE, REPLY_SIDE, S, T } from './fields.js';
import { FLOW_MEMBERS } from './flow-members.js';
import { INSPECT, type Json, toJson, toPlain } from './plain.js';
import { DCCP_ROLES, type DccpRole, type DccpState } from './protocols/dccp.js';
import { type ProtocolName, protocolByNumber } from './protocols/index.js';
import type { SctpState } from './protocols/sctp.js';
import type { TcpState } from './protocols/tcp.js';
import { namesOfBits, STATUS_NAMES, type StatusName } from './status.js';
import { be16Of, be32Of, be64Of, destinationOf, sourceOf, type Tuple, toTuple, u8Of } from './tuple.js';
import type { View } from './view.js';

/** Address family. */
export type Family = 'ipv4' | 'ipv6';

/** Word of a protocol's tracker, as the kernel prints it. */
export type FlowState = TcpState | SctpState | DccpState;

/**
 * How the sequence numbers of one direction are shifted after a helper has changed the length of a packet. Source: struct nf_ct_seqadj.
 */
export interface SeqAdj {
  /** Sequence number of the last change, 0 to 2^32 - 1. */
  readonly correctionPos: number;
  /** Shift before that number: a 32-bit number, so -1 is 4294967295. */
  readonly offsetBefore: number;
  /** Shift after that number, likewise. */
  readonly offsetAfter: number;
}

/** One direction of a flow: its tuple, and the traffic in this direction. */
export interface FlowSide extends Tuple {
  /** Packets so far. Absent unless sysctl net.netfilter.nf_conntrack_acct was set when the flow began. Source: CTA_COUNTERS_PACKETS. */
  readonly packets?: bigint | undefined;
  /** Bytes so far, including headers of the network layer. Absent as `packets`. Source: CTA_COUNTERS_BYTES. */
  readonly bytes?: bigint | undefined;
  /** Absent if all three are 0, which is nearly always so. Source: CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY. */
  readonly seqAdj?: SeqAdj | undefined;
}

/** A direction of a protocol that every kernel tracks by its ports. */
export interface PortSide extends MaybePortSide {
  readonly sport: number;
  readonly dport: number;
}

/** A direction of a protocol with ports or keys; they are absent if the kernel has no tracker for it. */
export interface MaybePortSide extends FlowSide {
  readonly icmpType?: undefined;
  readonly icmpCode?: undefined;
  readonly icmpId?: undefined;
}

/** A direction of ICMP or ICMPv6. */
export interface IcmpSide extends FlowSide {
  readonly sport?: undefined;
  readonly dport?: undefined;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly icmpId: number;
}

/** Times of a flow, in nanoseconds since the epoch. Kept only with sysctl net.netfilter.nf_conntrack_timestamp. */
export interface FlowTimestamp {
  /** When the entry began. */
  readonly start?: bigint | undefined;
  /** When the entry ended: in DESTROY events. */
  readonly stop?: bigint | undefined;
}

/** Data of the TCP tracker, besides the state. */
export interface TcpInfo {
  /** Window scale: a shift of 0 to 14. Absent in events of a flow's end. Source: CTA_PROTOINFO_TCP_WSCALE_ORIGINAL. */
  readonly wscaleOriginal?: number | undefined;
  readonly wscaleReply?: number | undefined;
  /** Tracker flags, IP_CT_TCP_FLAG_* bits, 0 to 255. Source: CTA_PROTOINFO_TCP_FLAGS_ORIGINAL. */
  readonly flagsOriginal?: number | undefined;
  readonly flagsReply?: number | undefined;
}

/** Data of the SCTP tracker, besides the state: verification tags, 0 to 2^32 - 1. Source: CTA_PROTOINFO_SCTP_VTAG_*. */
export interface SctpInfo {
  readonly vtagOriginal?: number | undefined;
  readonly vtagReply?: number | undefined;
}

/** Data of the DCCP tracker, besides the state (kernels up to 6.12). */
export interface DccpInfo {
  /** Role of the original direction. */
  readonly role?: DccpRole | undefined;
  /** Handshake sequence number, 48 bits. */
  readonly handshakeSeq?: bigint | undefined;
}

/** Data of synproxy: three 32-bit numbers. Source: CTA_SYNPROXY. */
export interface SynproxyInfo {
  /** Initial sequence number it chose. */
  readonly isn: number;
  /** Initial timestamp it chose. */
  readonly its: number;
  /** Timestamp offset. */
  readonly tsoff: number;
}

/** The members of a flow, whatever its protocol: `Flow` says which of them it can have. */
export interface FlowMembers {
  /** Identifier of the entry, 0 to 2^32 - 1: a keyed hash, the same as long as the entry lives, not unique over time. CTA_ID. */
  readonly id?: number | undefined;
  /** `unknown` for families other than IPv4 and IPv6, which kernels before 4.19 track. */
  readonly family: Family | 'unknown';
  /** Layer-4 protocol by name; `unknown` for those without a tracker (`original.protonum` has the number). */
  readonly protocol: ProtocolName;
  /** State of the protocol's tracker. Absent for protocols without states, and in some events. CTA_PROTOINFO. */
  readonly state?: FlowState | undefined;
  /** Seconds until the entry is dropped if nothing happens. Absent in DESTROY events of older kernels. CTA_TIMEOUT. */
  readonly timeout?: number | undefined;
  /** The direction of the first packet. CTA_TUPLE_ORIG. */
  readonly original: FlowSide;
  /** The direction of the replies; with NAT, its addresses are not those of `original` reversed. CTA_TUPLE_REPLY. */
  readonly reply: FlowSide;
  /** Status bits that are set, in bit order: `flow.status?.includes('ASSURED')`. CTA_STATUS. */
  readonly status?: readonly StatusName[] | undefined;
  /** The ctmark, 0 to 2^32 - 1. Absent when the kernel is built without marks. CTA_MARK. */
  readonly mark?: number | undefined;
  /** Zone of both directions, 1 to 65535. Absent for zone 0 and when the directions have their own. CTA_ZONE. */
  readonly zone?: number | undefined;
  /** Label bits that are set, 0 to 127, ascending. Absent when the flow has no room for labels. CTA_LABELS. */
  readonly labels?: readonly number[] | undefined;
  /** Name of the helper that reads the flow, such as `ftp`. CTA_HELP_NAME. */
  readonly helper?: string | undefined;
  /** The helper's private data, as pairs of hexadecimal digits. CTA_HELP_INFO. */
  readonly helperInfo?: string | undefined;
  /** Original tuple of the flow that expected this one. CTA_TUPLE_MASTER. */
  readonly master?: Tuple | undefined;
  /** LSM mark as a number. Kernels since 2.6.37 send `secctx` instead. CTA_SECMARK. */
  readonly secmark?: number | undefined;
  /** LSM security context. CTA_SECCTX_NAME. */
  readonly secctx?: string | undefined;
  /** Reference count. CTA_USE. */
  readonly use?: number | undefined;
  /** When the entry began and ended. CTA_TIMESTAMP. */
  readonly timestamp?: FlowTimestamp | undefined;
  /** TCP only. CTA_PROTOINFO_TCP. */
  readonly tcp?: TcpInfo | undefined;
  /** SCTP only. CTA_PROTOINFO_SCTP. */
  readonly sctp?: SctpInfo | undefined;
  /** DCCP only. CTA_PROTOINFO_DCCP. */
  readonly dccp?: DccpInfo | undefined;
  /** Only for flows for which synproxy answered; absent if all three are 0. CTA_SYNPROXY. */
  readonly synproxy?: SynproxyInfo | undefined;
  /** The same as `-o json` of the command prints; see docs/json.md. Absent members are left out. */
  toJSON(): FlowJson;
}

/** A flow of a protocol whose tracker keeps no state. */
interface StatelessFlow extends FlowMembers {
  readonly state?: undefined;
  readonly tcp?: undefined;
  readonly sctp?: undefined;
  readonly dccp?: undefined;
}

/** A TCP connection. */
export interface TcpFlow extends FlowMembers {
  readonly protocol: 'tcp';
  readonly original: PortSide;
  readonly reply: PortSide;
  readonly state?: TcpState | undefined;
  readonly sctp?: undefined;
  readonly dccp?: undefined;
}

/** UDP between two ports. */
export interface UdpFlow extends StatelessFlow {
  readonly protocol: 'udp';
  readonly original: PortSide;
  readonly reply: PortSide;
}

/** An SCTP association. */
export interface SctpFlow extends FlowMembers {
  readonly protocol: 'sctp';
  readonly original: MaybePortSide;
  readonly reply: MaybePortSide;
  readonly state?: SctpState | undefined;
  readonly tcp?: undefined;
  readonly dccp?: undefined;
}

/** A DCCP connection. */
export interface DccpFlow extends FlowMembers {
  readonly protocol: 'dccp';
  readonly original: MaybePortSide;
  readonly reply: MaybePortSide;
  readonly state?: DccpState | undefined;
  readonly tcp?: undefined;
  readonly sctp?: undefined;
}

/** UDP-Lite between two ports. */
export interface UdpliteFlow extends StatelessFlow {
  readonly protocol: 'udplite';
  readonly original: MaybePortSide;
  readonly reply: MaybePortSide;
}

/** GRE between two call keys, which are in `sport` and `dport`. */
export interface GreFlow extends StatelessFlow {
  readonly protocol: 'gre';
  readonly original: MaybePortSide;
  readonly reply: MaybePortSide;
}

/** An ICMP or ICMPv6 query and its answers. */
export interface IcmpFlow extends StatelessFlow {
  readonly protocol: 'icmp' | 'icmpv6';
  readonly original: IcmpSide;
  readonly reply: IcmpSide;
}

/** Traffic between two hosts in a protocol without its own tracker. */
export interface UnknownFlow extends StatelessFlow {
  readonly protocol: 'unknown';
}

/**
 * A tracked connection: an entry of the kernel's table, as it was when it was read. Plain data that belongs to the caller. What the
 * kernel did not send is `undefined`, never 0; whether a member is absent depends on sysctls, protocol and kernel. `protocol` decides
 * which members a flow can have: after `if (flow.protocol === 'tcp')`, its ports are numbers and its `state` is one of TCP. Source: enum
 * ctattr_type in linux/netfilter/nfnetlink_conntrack.h.
 */
export type Flow = TcpFlow | UdpFlow | UdpliteFlow | SctpFlow | DccpFlow | GreFlow | IcmpFlow | UnknownFlow;

/** A flow in JSON: a `bigint` is a number up to 2^53 - 1, and above that a string of its digits. */
export type FlowJson = Json<Flow>;

/** A member of `Flow` that a list can select. */
export type FlowField = Exclude<keyof Flow, 'toJSON'>;

type NamesOf<Rows extends readonly { readonly name: string }[]> = { readonly [I in keyof Rows]: Rows[I]['name'] };

/** Every member of `Flow`. */
export const FLOW_FIELDS = FLOW_MEMBERS.map(({ name }) => name) as unknown as NamesOf<
  typeof FLOW_MEMBERS
> satisfies readonly FlowField[];

/** Which members of a flow are read: a bit for each of FLOW_FIELDS. */
export type FlowFieldSet = number;
const ALL: FlowFieldSet = 2 ** FLOW_FIELDS.length - 1;

/** The bit of each member. */
const W = Object.fromEntries(FLOW_FIELDS.map((name, i) => [name, 1 << i])) as Readonly<Record<FlowField, FlowFieldSet>>;

/** The set of some members. @throws RangeError for any other name */
export function fieldSet(fields: readonly FlowField[] = FLOW_FIELDS): FlowFieldSet {
  let set = 0;
  for (const field of fields) {
    if (!Object.hasOwn(W, field)) throw new RangeError(`a flow has no member ${field}`);
    set |= W[field];
  }
  return set;
}

/** Makes flows from views. It keeps texts that flows share, so use one reader per list. */
export class FlowReader {
  readonly addresses = new AddressTexts();
  readonly strings = new StringTexts();
  readonly #status = new Map<number, readonly StatusName[]>();

  /** The flow in a view, with all its members or only those of a set. */
  read(view: View, fields: FlowFieldSet = ALL): Flow {
    return new FlowObject(view, fields, this) as Flow;
  }

  /** The flows of a list have few different statuses. */
  status(bits: number): readonly StatusName[] {
    let names = this.#status.get(bits);
    if (!names) {
      names = Object.freeze(namesOfBits(STATUS_NAMES, bits)) as readonly StatusName[];
      this.#status.set(bits, names);
    }
    return names;
  }
}

/** Always all members in the same order, so that every flow has the same hidden class. */
class FlowObject {
  readonly id: number | undefined;
  readonly family: Family | 'unknown';
  readonly protocol: ProtocolName;
  readonly state: FlowState | undefined;
  readonly timeout: number | undefined;
  readonly original: FlowSide;
  readonly reply: FlowSide;
  readonly status: readonly StatusName[] | undefined;
  readonly mark: number | undefined;
  readonly zone: number | undefined;
  readonly labels: readonly number[] | undefined;
  readonly helper: string | undefined;
  readonly helperInfo: string | undefined;
  readonly master: Tuple | undefined;
  readonly secmark: number | undefined;
  readonly secctx: string | undefined;
  readonly use: number | undefined;
  readonly timestamp: FlowTimestamp | undefined;
  readonly tcp: TcpInfo | undefined;
  readonly sctp: SctpInfo | undefined;
  readonly dccp: DccpInfo | undefined;
  readonly synproxy: SynproxyInfo | undefined;

  constructor(view: View, want: FlowFieldSet, reader: FlowReader) {
    // Members that were not selected are absent, whatever the type says: `list()` returns a type with only the selected members.
    const none = undefined as never;
    const { addresses } = reader;
    this.id = want & W.id ? be32Of(view, S.id) : undefined;
    this.family = want & W.family ? familyName(view.family) : none;
    this.protocol = want & W.protocol ? (protocolOf(view).name as ProtocolName) : none;
    this.state = want & W.state ? stateOf(view) : undefined;
    this.timeout = want & W.timeout ? be32Of(view, S.timeout) : undefined;
    this.original = want & W.original ? new SideObject(view, ORIGINAL_SIDE, addresses) : none;
    this.reply = want & W.reply ? new SideObject(view, REPLY_SIDE, addresses) : none;
    this.status = want & W.status && view.has(S.status) ? reader.status(view.be32(S.status)) : undefined;
    this.mark = want & W.mark ? be32Of(view, S.mark) : undefined;
    this.zone = want & W.zone ? be16Of(view, S.zone) : undefined;
    this.labels = want & W.labels && view.has(S.labels) ? labelsOf(view) : undefined;
    this.helper = want & W.helper && view.has(S.helper) ? stringOf(view, S.helper, reader.strings) : undefined;
    this.helperInfo = want & W.helperInfo && view.has(S.helperInfo) ? hexOf(view, S.helperInfo) : undefined;
    this.master = want & W.master && view.has(MASTER + T.protonum) ? toTuple(view, MASTER, addresses) : undefined;
    this.secmark = want & W.secmark ? be32Of(view, S.secmark) : undefined;
    this.secctx = want & W.secctx && view.has(S.secctx) ? stringOf(view, S.secctx, reader.strings) : undefined;
    this.use = want & W.use ? be32Of(view, S.use) : undefined;
    this.timestamp = want & W.timestamp ? timestampOf(view) : undefined;
    this.tcp = want & W.tcp ? tcpOf(view) : undefined;
    this.sctp = want & W.sctp ? sctpOf(view) : undefined;
    this.dccp = want & W.dccp ? dccpOf(view) : undefined;
    this.synproxy = want & W.synproxy ? synproxyOf(view) : undefined;
  }

  toJSON(): FlowJson {
    return toJson(this as Flow);
  }

  [INSPECT](): object {
    return toPlain(this);
  }
}

function protocolOf(view: View) {
  return protocolByNumber(view.u8(ORIGINAL + T.protonum));
}

/** An unknown number reads as the first word, NONE, as in text. */
function stateOf(view: View): FlowState | undefined {
  const { state, states } = protocolOf(view);
  if (!state || !states) return undefined;
  const slot = S[state as keyof typeof S];
  return view.has(slot) ? ((states[view.u8(slot)] ?? states[0]) as FlowState) : undefined;
}

/** As the tuple's object, with its traffic. The members are repeated because a class that extends another is built more slowly. */
class SideObject implements FlowSide {
  readonly src: string;
  readonly dst: string;
  readonly protonum: number;
  readonly sport: number | undefined;
  readonly dport: number | undefined;
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  readonly icmpId: number | undefined;
  readonly zone: number | undefined;
  readonly packets: bigint | undefined;
  readonly bytes: bigint | undefined;
  readonly seqAdj: SeqAdj | undefined;

  constructor(view: View, { tuple: base, packets, bytes, seqAdj }: DirectionRow, addresses: AddressTexts) {
    this.src = sourceOf(view, base, addresses)!;
    this.dst = destinationOf(view, base, addresses)!;
    this.protonum = u8Of(view, base + T.protonum)!;
    this.sport = be16Of(view, base + T.sport);
    this.dport = be16Of(view, base + T.dport);
    this.icmpType = u8Of(view, base + T.icmpType) ?? u8Of(view, base + T.icmpv6Type);
    this.icmpCode = u8Of(view, base + T.icmpCode) ?? u8Of(view, base + T.icmpv6Code);
    this.icmpId = be16Of(view, base + T.icmpId) ?? be16Of(view, base + T.icmpv6Id);
    this.zone = be16Of(view, base + T.tupleZone);
    this.packets = be64Of(view, packets);
    this.bytes = be64Of(view, bytes);
    this.seqAdj = view.any32x3(seqAdj)
      ? { correctionPos: view.be32(seqAdj), offsetBefore: view.be32(seqAdj + 1), offsetAfter: view.be32(seqAdj + 2) }
      : undefined;
  }

  /** JSON.stringify refuses bigints, and a direction may be printed without its flow. */
  toJSON(): Json<FlowSide> {
    return toJson<FlowSide>(this);
  }

  [INSPECT](): object {
    return toPlain(this);
  }
}

function labelsOf(view: View): number[] {
  const bits: number[] = [];
  const words = view.length(S.labels) >> 2;
  for (let word = 0; word < words; word++) {
    const value = view.labelWord(S.labels, word);
    for (let bit = 0; value !== 0 && bit < 32; bit++) if ((value >>> bit) & 1) bits.push(word * 32 + bit);
  }
  return bits;
}

export function stringOf(view: View, slot: number, strings: StringTexts): string {
  return strings.text(view.bytes, view.offset(slot), view.stringLength(slot));
}

function hexOf(view: View, slot: number): string {
  let text = '';
  const at = view.offset(slot);
  for (let i = 0; i < view.length(slot); i++) text += view.bytes[at + i]!.toString(16).padStart(2, '0');
  return text;
}

function timestampOf(view: View): FlowTimestamp | undefined {
  if (!view.has(S.timestampStart) && !view.has(S.timestampStop)) return undefined;
  return { start: be64Of(view, S.timestampStart), stop: be64Of(view, S.timestampStop) };
}

function tcpOf(view: View): TcpInfo | undefined {
  const info = {
    wscaleOriginal: u8Of(view, S.tcpWscaleOriginal),
    wscaleReply: u8Of(view, S.tcpWscaleReply),
    flagsOriginal: u8Of(view, S.tcpFlagsOriginal),
    flagsReply: u8Of(view, S.tcpFlagsReply),
  };
  const { wscaleOriginal, wscaleReply, flagsOriginal, flagsReply } = info;
  return (wscaleOriginal ?? wscaleReply ?? flagsOriginal ?? flagsReply) === undefined ? undefined : info;
}

function sctpOf(view: View): SctpInfo | undefined {
  if (!view.has(S.sctpVtagOriginal) && !view.has(S.sctpVtagReply)) return undefined;
  return { vtagOriginal: be32Of(view, S.sctpVtagOriginal), vtagReply: be32Of(view, S.sctpVtagReply) };
}

function dccpOf(view: View): DccpInfo | undefined {
  if (!view.has(S.dccpRole) && !view.has(S.dccpHandshakeSeq)) return undefined;
  const role = view.has(S.dccpRole) ? (DCCP_ROLES[view.u8(S.dccpRole)] ?? DCCP_ROLES[0]) : undefined;
  return { role, handshakeSeq: be64Of(view, S.dccpHandshakeSeq) };
}

function synproxyOf(view: View): SynproxyInfo | undefined {
  if (!view.any32x3(S.synproxyIsn)) return undefined;
  return { isn: view.be32(S.synproxyIsn), its: view.be32(S.synproxyIts), tsoff: view.be32(S.synproxyTsoff) };
}
