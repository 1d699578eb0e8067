// NewFlow: a flow to create, as written by callers or stored in JSON; a `Flow` is one. → FlowSpec.

import { ValueError } from '../errors.js';
import { familyOf } from './address.js';
import {
  type AddressTuple,
  type IcmpProtocol,
  type IcmpTuple,
  type NumberedTuple,
  type PortProtocol,
  type PortTuple,
  requireComplete,
} from './complete-tuple.js';
import type { FlowKey, TupleSpec } from './encode.js';
import { readMarkAndMask, readNat } from './filter/object-input.js';
import { type Family, FLOW_FIELDS, type FlowMembers, type FlowState } from './flow.js';
import { exactTcpFlags, type FlowChange, labelBytes, tcpState } from './flow-change.js';
import { FLOW_MEMBERS, SEQ_ADJ, SYNPROXY } from './flow-members.js';
import { type FlowSpec, LABEL_BITS, type NatSpec, type ProtocolState, type SequenceAdjustment } from './flow-spec.js';
import { addressOf, MAX_U8, MAX_U16, MAX_U32, Members } from './members.js';
import { type ProtocolInput, readFamily, readLabels, readProtocol, readState, readStatus } from './protocol-input.js';
import { DCCP_ROLES, type DccpRole, dccp } from './protocols/dccp.js';
import { type ProtocolName, protocolByNumber } from './protocols/index.js';
import { sctp } from './protocols/sctp.js';
import { tcp } from './protocols/tcp.js';
import type { StatusName } from './status.js';
import type { TupleInput } from './tuple-input.js';
import { filled, inverse } from './tuple-spec.js';
import {
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DST_NAT_DONE,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT_DONE,
} from './uapi/nf-conntrack-common.js';

/** A 64-bit number as objects and JSON hold it. */
export type Number64 = bigint | number | string;

/** A direction of a new flow. Its counters, if any, are the kernel's own and ignored. */
export interface SideInput extends TupleInput {
  readonly packets?: Number64 | undefined;
  readonly bytes?: Number64 | undefined;
  readonly seqAdj?: { readonly correctionPos: number; readonly offsetBefore: number; readonly offsetAfter: number } | undefined;
}

/** A translation: to an address, or to an address and port. */
export type NatInput = string | { readonly address: string; readonly port?: number | undefined };

/** The members of a flow to create. `FlowCopy` and `NewFlow` say which are required. */
interface NewFlowMembers extends ReadOnlyMembers {
  readonly family?: Family | 'unknown' | undefined;
  /** Required, unless `original.protonum` has it. */
  readonly protocol?: ProtocolInput | 'unknown' | undefined;
  /** Lifetime in seconds. Required; the flow of a DESTROY event may lack it. */
  readonly timeout?: number | undefined;
  readonly original?: SideInput | undefined;
  readonly reply?: SideInput | undefined;
  readonly state?: FlowState | undefined;
  /** SEEN_REPLY, ASSURED and FIXED_TIMEOUT can be set; the kernel sets the other bits itself, so they are ignored. */
  readonly status?: readonly StatusName[] | undefined;
  readonly mark?: number | undefined;
  /** Zone of both directions. */
  readonly zone?: number | undefined;
  /** Label bits, 0 to 127. */
  readonly labels?: readonly number[] | undefined;
  /** Name of one of the kernel's helpers for this protocol. */
  readonly helper?: string | undefined;
  /** Original tuple of the flow that this one belongs to. It must exist. */
  readonly master?: TupleInput | undefined;
  /** Source translation. If neither this nor `dstNat` is given, it follows from the status and tuples of a listed flow. */
  readonly srcNat?: NatInput | undefined;
  /** Destination translation. */
  readonly dstNat?: NatInput | undefined;
  readonly tcp?:
    | {
        readonly wscaleOriginal?: number | undefined;
        readonly wscaleReply?: number | undefined;
        readonly flagsOriginal?: number | undefined;
        readonly flagsReply?: number | undefined;
      }
    | undefined;
  readonly sctp?: { readonly vtagOriginal?: number | undefined; readonly vtagReply?: number | undefined } | undefined;
  readonly dccp?: { readonly role?: DccpRole | undefined; readonly handshakeSeq?: Number64 | undefined } | undefined;
  readonly synproxy?: { readonly isn: number; readonly its: number; readonly tsoff: number } | undefined;
  /** Ignored: for human readers. */
  readonly labelNames?: readonly string[] | undefined;
}

/** Members that only the kernel sets: ignored. Objects may be their JSON. */
type ReadOnlyMembers = {
  readonly [N in Extract<(typeof FLOW_MEMBERS)[number], { readonly readOnly: true }>['name']]?: OrAnyObject<FlowMembers[N]>;
};
type OrAnyObject<T> = T extends object ? object : T;

/**
 * A flow to create like another one: a listed `Flow`, a copy of it, or its JSON. Its translation is set up again; what the kernel keeps
 * itself (id, counters, times, security context) is ignored.
 */
export interface FlowCopy extends NewFlowMembers {
  readonly family: Family | 'unknown';
  readonly protocol: ProtocolName;
  readonly original: SideInput & NumberedTuple;
  readonly reply: SideInput & NumberedTuple;
}

/** A flow to create. One direction is enough; the other is derived. You can also pass a `FlowCopy`. */
export interface NewFlow extends NewFlowMembers {
  readonly timeout: number;
}

/** Members that the kernel keeps itself, and members only for human readers. */
const PASSED_OVER = [...FLOW_MEMBERS.filter((row) => 'readOnly' in row).map(({ name }) => name), 'labelNames'];
const SETTABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT;

/** NF_CT_HELPER_NAME_LEN without the NUL. */
const HELPER_NAME = 15;

/** @throws ValueError */
export function toFlowSpec(flow: FlowCopy | NewFlow): FlowSpec {
  const members = new Members(flow, '', false);
  const original = readSide(members, 'original');
  const reply = readSide(members, 'reply');
  const protonum = readProtonum(members, original?.tuple.protonum ?? reply?.tuple.protonum);
  const given = { original: withProtocol(original?.tuple, protonum), reply: withProtocol(reply?.tuple, protonum) };
  const first = filled(given.original, inverse(given.reply));
  if (!first.src || !first.dst)
    throw new ValueError('a flow needs the addresses of one direction', { hint: 'give original.src and original.dst' });
  requireComplete(first, 'original', original?.tuple.protonum ?? reply?.tuple.protonum);
  const timeout = members.number('timeout', MAX_U32);
  if (timeout === undefined) throw new ValueError('timeout is missing', { hint: 'give its lifetime in seconds' });
  const status = readStatus(members);
  const nat = readTranslation(members, first, given.reply, status ?? 0);
  const labels = readLabels(members, 'labels', LABEL_BITS - 1);
  const master = members.members('master', false);
  const spec: FlowSpec = {
    family: readFamilyOf(members) ?? familyOf(first.src),
    original: { ...first, zone: given.original.zone },
    reply: { ...filled(nat.reply, inverse(first)), zone: given.reply.zone },
    status: status === undefined ? undefined : (status & SETTABLE) | IPS_CONFIRMED,
    timeout,
    mark: members.number('mark', MAX_U32),
    protocol: readProtocolState(members, protonum),
    srcNat: nat.srcNat,
    dstNat: nat.dstNat,
    zone: members.number('zone', MAX_U16),
    ...(labels && labels.length > 0 ? { labels: labelBytes(labels), labelsMask: labelBytes(labels) } : {}),
    helper: members.name('helper', HELPER_NAME),
    master: master ? readTuple(master) : undefined,
    seqAdjOriginal: original?.seqAdj,
    seqAdjReply: reply?.seqAdj,
    synproxy: readTriple(members, 'synproxy', SYNPROXY),
  };
  members.end(PASSED_OVER);
  return spec;
}

/** The members that name a flow. `FlowKeyInput` says which are required. */
export interface FlowKeyMembers {
  /** Required, unless the tuple has `protonum`. */
  readonly protocol?: ProtocolInput | 'unknown' | undefined;
  /** The tuple of either direction; if both are given, `original` wins. */
  readonly original?: TupleInput | undefined;
  readonly reply?: TupleInput | undefined;
  /** Zone of both directions. */
  readonly zone?: number | undefined;
  /** Only the entry with this identifier. The kernel often gives a newer flow with the same tuple the same identifier. */
  readonly id?: number | undefined;
}

type EitherSide<T> =
  | { readonly original?: undefined; readonly reply: T }
  | { readonly original: T; readonly reply?: TupleInput | undefined };

/**
 * Names one flow, by {@link FlowKeyMembers}: a complete tuple, its zone, and its id if you mean only this very entry. You can pass a
 * `Flow`. The tuple includes ports if the protocol has them, and for ICMP the type.
 */
export type FlowKeyInput = FlowKeyMembers &
  (
    | EitherSide<NumberedTuple>
    | ({ readonly protocol: number } & EitherSide<AddressTuple>)
    | ({ readonly protocol: IcmpProtocol } & EitherSide<IcmpTuple>)
    | ({ readonly protocol: PortProtocol } & EitherSide<PortTuple>)
  );

/** Other members of a flow, and members only for human readers. */
const KEY_PASSED_OVER: readonly string[] = [...FLOW_FIELDS, 'labelNames'];

/** The key for requests: it has exactly one of the tuples. @throws ValueError */
export function toFlowKey(key: FlowKeyInput): FlowKey {
  const members = new Members(key, '', false);
  const original = readSide(members, 'original')?.tuple;
  const reply = readSide(members, 'reply')?.tuple;
  const given = original ?? reply;
  const tuple = withProtocol(given, readProtonum(members, given?.protonum));
  if (!tuple.src || !tuple.dst)
    throw new ValueError('a flow is named by a complete tuple', { hint: 'give original.src, original.dst and the ports' });
  requireComplete(tuple, original ? 'original' : 'reply', given?.protonum);
  const zone = members.number('zone', MAX_U16);
  const id = members.number('id', MAX_U32);
  members.end(KEY_PASSED_OVER);
  return { family: familyOf(tuple.src), ...(original ? { original: tuple } : { reply: tuple }), zone, id };
}

/** The members of an update. `FlowUpdate` has at least one. */
export interface FlowUpdateMembers {
  /** Seconds; 0 ends the flow. */
  readonly timeout?: number;
  /** The new mark; with a mask `new = (old & ~mask) ^ value`, computed by the kernel. */
  readonly mark?: number | { readonly value: number; readonly mask: number };
  /** Bits to set: SEEN_REPLY, ASSURED, FIXED_TIMEOUT. None can be cleared. */
  readonly status?: readonly StatusName[];
  /** State of the tracker; the filter must name the protocol. */
  readonly state?: FlowState;
  /** Verification tags; if absent, those of the flow. The filter must name the protocol, sctp. */
  readonly sctp?: AtLeastOne<{ readonly vtagOriginal: number; readonly vtagReply: number }>;
  /** Label bits to set and to clear, 0 to 127; the others stay. */
  readonly labels?: AtLeastOne<{ readonly set: readonly number[]; readonly clear: readonly number[] | 'all' }>;
}

type AtLeastOne<T> = { [K in keyof T]-?: Required<Pick<T, K>> & Partial<Omit<T, K>> }[keyof T];

/**
 * New values of an update, at least one of {@link FlowUpdateMembers}; absent members stay unchanged. `undefined` as a value is refused.
 */
export type FlowUpdate = AtLeastOne<FlowUpdateMembers>;

/** `protonum` is that of the flows concerned, if known. @throws ValueError */
export function toFlowChange(update: FlowUpdate, protonum: number | undefined): FlowChange {
  const members = new Members(update, '', true);
  const vtags = members.members('sctp', true);
  const labels = members.members('labels', true);
  const mark =
    typeof members.get('mark') === 'object' ? readMarkAndMask(members.members('mark', true)!) : members.number('mark', MAX_U32);
  const change: FlowChange = {
    timeout: members.number('timeout', MAX_U32),
    mark: typeof mark === 'number' ? { value: mark, mask: MAX_U32 } : mark,
    status: readStatus(members),
    state: readState(members, protonum),
    protonum,
    vtagOriginal: vtags?.number('vtagOriginal', MAX_U32),
    vtagReply: vtags?.number('vtagReply', MAX_U32),
    labelsSet: labels ? readLabels(labels, 'set', LABEL_BITS - 1) : undefined,
    labelsClear: labels?.get('clear') === 'all' ? 'all' : labels && readLabels(labels, 'clear', LABEL_BITS - 1),
  };
  for (const part of [vtags, labels, members]) part?.end();
  if (Object.keys(update).length === 0) throw new ValueError('an update needs at least one new value');
  if (vtags && (change.vtagOriginal ?? change.vtagReply) === undefined)
    throw new ValueError('sctp needs a new value', { hint: 'give vtagOriginal, vtagReply or both' });
  if (vtags && protonum !== sctp.number)
    throw new ValueError(
      'sctp: only flows of sctp have verification tags',
      protonum === undefined ? { hint: 'give the protocol in the filter' } : {},
    );
  if (labels && (change.labelsSet ?? change.labelsClear) === undefined)
    throw new ValueError('labels needs a new value', { hint: 'give set, clear or both' });
  return change;
}

interface Side {
  readonly tuple: TupleSpec;
  readonly seqAdj: SequenceAdjustment | undefined;
}

function readSide(members: Members, name: 'original' | 'reply'): Side | undefined {
  const side = members.members(name, false);
  if (!side) return undefined;
  const seqAdj = readTriple(side, 'seqAdj', SEQ_ADJ);
  return { tuple: readTuple(side, ['packets', 'bytes']), seqAdj };
}

/** The members of a tuple, as they are. @throws ValueError */
export function tupleMembers(tuple: Members): TupleSpec {
  return {
    src: tuple.address('src'),
    dst: tuple.address('dst'),
    protonum: tuple.number('protonum', MAX_U8),
    sport: tuple.number('sport', MAX_U16),
    dport: tuple.number('dport', MAX_U16),
    icmpType: tuple.number('icmpType', MAX_U8),
    icmpCode: tuple.number('icmpCode', MAX_U8),
    icmpId: tuple.number('icmpId', MAX_U16),
    zone: tuple.number('zone', MAX_U16),
  };
}

/** A tuple for a request. @throws ValueError also for members that tuples do not have, except `ignored` ones */
export function readTuple(tuple: Members, ignored: readonly string[] = []): TupleSpec {
  const given = tupleMembers(tuple);
  tuple.end(ignored);
  if (given.src && given.dst && given.src.length !== given.dst.length)
    throw new ValueError(`${tuple.at('src')} and ${tuple.at('dst')} are of different families`);
  const zero = given.icmpType === undefined ? undefined : 0;
  return { ...given, icmpCode: given.icmpCode ?? zero, icmpId: given.icmpId ?? zero };
}

/** The protocol number, from `protocol` or a tuple. `unknown` stands for the number in the tuple. */
export function readProtonum(members: Members, ofTuple: number | undefined): number {
  const named = members.get('protocol') === 'unknown' ? undefined : readProtocol(members);
  const protonum = named ?? ofTuple;
  if (protonum === undefined) throw new ValueError('protocol is missing', { hint: 'a name such as tcp, or a number' });
  if (ofTuple !== undefined && ofTuple !== protonum)
    throw new ValueError(`${members.at('protocol')} is ${protonum}, but the tuple says ${ofTuple}`);
  return protonum;
}

export function readFamilyOf(members: Members): number | undefined {
  return members.get('family') === 'unknown' ? undefined : readFamily(members);
}

export function withProtocol(tuple: TupleSpec | undefined, protonum: number): TupleSpec {
  return { ...tuple, protonum };
}

/** NAT as given, or else as the status and tuples of a listed flow show it. `reply` is the reply tuple to send. */
function readTranslation(
  members: Members,
  original: TupleSpec,
  reply: TupleSpec,
  status: number,
): { srcNat: NatSpec | undefined; dstNat: NatSpec | undefined; reply: TupleSpec } {
  const explicit = { srcNat: readNatOf(members, 'srcNat'), dstNat: readNatOf(members, 'dstNat') };
  const ports = protocolByNumber(original.protonum!).tuple === 'ports';
  for (const name of ['srcNat', 'dstNat'] as const)
    if (explicit[name]?.port !== undefined && !ports)
      throw new ValueError(`${members.at(name)}.port needs a protocol with ports, such as tcp or udp`);
  const shown = (done: number, address: 'src' | 'dst', port: 'sport' | 'dport', answer: TupleSpec): NatSpec | undefined => {
    const moved = !same(reply[address], answer[address]);
    const movedPort = ports && reply[port] !== undefined && reply[port] !== answer[port];
    if ((status & done) === 0 || !reply[address] || !(moved || movedPort)) return undefined;
    return { address: reply[address], port: movedPort ? reply[port] : undefined };
  };
  const answer = inverse(original);
  if (explicit.srcNat || explicit.dstNat)
    return {
      ...explicit,
      reply: {
        ...reply,
        ...(explicit.srcNat?.port === undefined ? {} : { dport: undefined }),
        ...(explicit.dstNat?.port === undefined ? {} : { sport: undefined }),
      },
    };
  const srcNat = shown(IPS_SRC_NAT_DONE, 'dst', 'dport', answer);
  const dstNat = shown(IPS_DST_NAT_DONE, 'src', 'sport', answer);
  // The kernel translates the reply tuple itself, so it must not be translated already.
  return {
    srcNat,
    dstNat,
    reply: {
      ...reply,
      ...(srcNat ? { dst: answer.dst, dport: answer.dport } : {}),
      ...(dstNat ? { src: answer.src, sport: answer.sport } : {}),
    },
  };
}

function readNatOf(members: Members, name: 'srcNat' | 'dstNat'): NatSpec | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  if (typeof value === 'string') return { address: addressOf(value, members.at(name)) };
  const { address, port } = readNat(members.members(name, false)!);
  if (!address) throw new ValueError(`${members.at(name)}.address is missing`);
  return { address, port };
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]));
}

function readProtocolState(members: Members, protonum: number): ProtocolState | undefined {
  const state = readState(members, protonum);
  const parts = {
    tcp: members.members('tcp', false),
    sctp: members.members('sctp', false),
    dccp: members.members('dccp', false),
  };
  const flagsOriginal = parts.tcp?.number('flagsOriginal', MAX_U8);
  const flagsReply = parts.tcp?.number('flagsReply', MAX_U8);
  const wscaleOriginal = parts.tcp?.number('wscaleOriginal', MAX_U8);
  const wscaleReply = parts.tcp?.number('wscaleReply', MAX_U8);
  const vtagOriginal = parts.sctp?.number('vtagOriginal', MAX_U32) ?? 0;
  const vtagReply = parts.sctp?.number('vtagReply', MAX_U32) ?? 0;
  const role = parts.dccp?.oneOf('role', DCCP_ROLES) ?? DCCP_ROLES[0];
  const handshakeSeq = parts.dccp?.number64('handshakeSeq');
  for (const part of Object.values(parts)) part?.end();
  if (state === undefined) return undefined;
  if (protonum === sctp.number) return { sctp: { state, vtagOriginal, vtagReply } };
  if (protonum === dccp.number) return { dccp: { state, role: DCCP_ROLES.indexOf(role), handshakeSeq } };
  if (protonum !== tcp.number) return undefined;
  return {
    tcp: {
      ...tcpState(state),
      ...(flagsOriginal !== undefined && flagsReply !== undefined
        ? { flagsOriginal: exactTcpFlags(flagsOriginal), flagsReply: exactTcpFlags(flagsReply) }
        : {}),
      ...(wscaleOriginal !== undefined && wscaleReply !== undefined ? { wscaleOriginal, wscaleReply } : {}),
    },
  };
}

/** Three 32-bit numbers that belong together; also `undefined` if all are 0. */
export function readTriple<N extends string>(
  members: Members,
  name: string,
  names: readonly N[],
): Readonly<Record<N, number>> | undefined {
  const triple = members.members(name, false);
  if (!triple) return undefined;
  const numbers = names.map((each) => {
    const number = triple.number(each, MAX_U32);
    if (number === undefined) throw new ValueError(`${triple.at(each)} is missing`);
    return [each, number] as const;
  });
  triple.end();
  return numbers.some(([, number]) => number !== 0) ? (Object.fromEntries(numbers) as Record<N, number>) : undefined;
}
