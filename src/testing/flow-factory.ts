// makeFlow: complete flows for tests from a few members. They are made by the kernel's rules for creating flows, and then get what only
// the kernel and packets can set: any status, counters, times.

import { familyOf as addressFamily } from '../ctnetlink/address.js';
import { type Family, type Flow, FlowReader, type FlowState, type FlowTimestamp } from '../ctnetlink/flow.js';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { putFlow } from '../ctnetlink/flow-spec.js';
import { MAX_U8, MAX_U32, Members } from '../ctnetlink/members.js';
import { type NatInput, type NewFlow, type Number64, readProtonum, type SideInput, toFlowSpec } from '../ctnetlink/new-flow.js';
import { type ProtocolInput, readStatus } from '../ctnetlink/protocol-input.js';
import type { DccpRole } from '../ctnetlink/protocols/dccp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import type { ProtocolName } from '../ctnetlink/protocols/index.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import type { StatusName } from '../ctnetlink/status.js';
import type { TupleInput } from '../ctnetlink/tuple-input.js';
import { inverseIcmpType } from '../ctnetlink/tuple-spec.js';
import { KernelError, ValueError } from '../errors.js';
import { EEXIST, EINVAL, ENOENT, ENOMEM, errnoName, errnoReason } from '../wire/errno.js';
import { MessageWriter } from '../wire/message.js';
import { completeSide, withDefaults } from './flow-defaults.js';
import { createFlow, type FlowTable } from './flow-rules.js';
import type { MemoryFlow } from './memory-flow.js';
import { Refusal } from './netlink-answers.js';
import { flowRequest } from './table-request.js';
import { FLOW, TableState } from './table-state.js';

/**
 * A flow for tests: any member of a flow. Defaults are those of a flow of this protocol in which both sides have sent packets, from a
 * client to a server with documentation addresses. You can pass a flow that was read, or a changed copy of one.
 */
export interface FlowInit<P extends ProtocolInput | 'unknown' = ProtocolInput | 'unknown'> {
  /** Default `tcp`. */
  readonly protocol?: P | undefined;
  /** Default: that of the addresses; without addresses, `ipv4`. */
  readonly family?: Family | 'unknown' | undefined;
  /** Default: a hash of the original tuple and its zone. */
  readonly id?: number | undefined;
  readonly state?: FlowState | undefined;
  /** Seconds. Default: the kernel's timeout for this protocol and state. */
  readonly timeout?: number | undefined;
  readonly original?: SideInput | undefined;
  /** Default: the reverse of `original`, translated if `srcNat` or `dstNat` says so. */
  readonly reply?: SideInput | undefined;
  /** Any bits. CONFIRMED and the bits that follow from NAT, `helper`, `master` and `seqAdj` are added. */
  readonly status?: readonly StatusName[] | undefined;
  /** Default 0. */
  readonly mark?: number | undefined;
  readonly zone?: number | undefined;
  readonly labels?: readonly number[] | undefined;
  readonly helper?: string | undefined;
  readonly helperInfo?: string | undefined;
  readonly master?: TupleInput | undefined;
  readonly secmark?: number | undefined;
  readonly secctx?: string | undefined;
  /** Default 1. */
  readonly use?: number | undefined;
  readonly timestamp?: FlowTimestamp | undefined;
  /** The source is translated to this address, or address and port. */
  readonly srcNat?: NatInput | undefined;
  readonly dstNat?: NatInput | undefined;
  readonly tcp?: NewFlow['tcp'];
  readonly sctp?: NewFlow['sctp'];
  readonly dccp?: { readonly role?: DccpRole | undefined; readonly handshakeSeq?: Number64 | undefined } | undefined;
  readonly synproxy?: NewFlow['synproxy'];
}

/** The type of flows of a protocol. */
export type FlowOf<P> = P extends ProtocolName ? FlowWith<P, Flow> : Flow;
type FlowWith<P, F> = F extends { readonly protocol: infer Q } ? (P extends Q ? F : never) : never;

/**
 * A complete flow, as if the library had read it from the kernel, to test what a program does with flows. The same call gives the same
 * flow.
 * @throws ValueError if a member is wrong; KernelError EINVAL for packets that begin no flow, such as an ICMP error
 *
 * ```ts
 * const flow = makeFlow({ protocol: 'udp', original: { src: '10.0.0.1', dport: 53 }, mark: 7 });
 * const translated = makeFlow({ srcNat: '203.0.113.1' });
 * const later = makeFlow({ ...flow, timeout: 1 });
 * ```
 */
export function makeFlow<const P extends ProtocolInput | 'unknown' = 'tcp'>(flow: FlowInit<P> = {}): FlowOf<P> {
  const state = new TableState({ maxEntries: 1, accounting: false, timestamps: false, labels: true, epoch: 0n });
  const made = new FlowMaker().add(flow, state);
  return new FlowReader().read(new FlowViews().of(made.toFlow('entry', 0) as Flow)) as FlowOf<P>;
}

/** Puts flows into tables, one after another. */
export class FlowMaker {
  readonly #request = flowRequest();
  readonly #message = new MessageWriter();

  /**
   * Puts a flow into a table as if packets had made it: its helper and master need not exist.
   * @throws ValueError; KernelError EEXIST if it exists, ENOMEM if the table is full
   */
  add(init: FlowInit, table: FlowTable): MemoryFlow {
    const members = new Members(init, '', false);
    const given = { ...init, protocol: init.protocol ?? tcp.name };
    const protonum = readProtonum(new Members(given, '', false), init.original?.protonum ?? init.reply?.protonum);
    const side = init.original ?? answered(init.reply, protonum);
    const original = completeSide(side, protonum, familyOf(init, protonum));
    const spec = toFlowSpec(withDefaults({ ...given, original }, protonum));
    if (spec.family !== addressFamily(spec.original.src!))
      throw new ValueError(`family is ${init.family}, but the addresses are not`);
    const message = this.#message;
    message.reset();
    message.begin(FLOW, 0, 0, spec.family);
    putFlow(message, spec);
    message.end();
    this.#request.readFrom(message);
    const unchecked = readUnchecked(members);
    const flow = refusing('CT_NEW', () => createFlow(this.#request, table, 'by packets'));
    setUnchecked(flow, unchecked);
    return flow;
  }
}

/** Members of the original direction that follow from its reply. */
function answered(reply: SideInput | undefined, protonum: number): SideInput {
  if (!reply) return {};
  const { src, dst, sport, dport, icmpType, icmpCode, icmpId } = reply;
  const query = icmpType === undefined ? undefined : inverseIcmpType(protonum, icmpType);
  return { src: dst, dst: src, sport: dport, dport: sport, icmpType: query, icmpCode, icmpId };
}

/** Given members that no request can set. @throws ValueError */
function readUnchecked(members: Members) {
  const times = members.members('timestamp', false);
  const tracker = members.members('tcp', false);
  const counted = (name: string): Counted => {
    const side = members.members(name, false);
    return { packets: side?.number64('packets'), bytes: side?.number64('bytes') };
  };
  return {
    id: members.number('id', MAX_U32),
    use: members.number('use', MAX_U32),
    status: readStatus(members),
    given: {
      secmark: members.number('secmark', MAX_U32),
      secctx: members.string('secctx'),
      helperInfo: members.hex('helperInfo') && members.string('helperInfo'),
    },
    timestamp: times && { start: times.number64('start'), stop: times.number64('stop') },
    counted: { original: counted('original'), reply: counted('reply') },
    flags: { original: tracker?.number('flagsOriginal', MAX_U8), reply: tracker?.number('flagsReply', MAX_U8) },
    scales: { original: tracker?.number('wscaleOriginal', MAX_U8), reply: tracker?.number('wscaleReply', MAX_U8) },
  };
}

function setUnchecked(flow: MemoryFlow, said: ReturnType<typeof readUnchecked>): void {
  flow.id = said.id ?? flow.id;
  flow.use = said.use ?? flow.use;
  flow.status = (flow.status | (said.status ?? 0)) >>> 0;
  flow.given = said.given;
  flow.timestamp = said.timestamp ?? flow.timestamp;
  for (const side of ['original', 'reply'] as const) {
    setCounters(flow, side, said.counted[side]);
    flow.tcpFlags[side] = said.flags[side] ?? flow.tcpFlags[side];
    flow.tcpScales[side] = said.scales[side] ?? flow.tcpScales[side];
  }
}

/** Packets and bytes of a direction, if given. */
export interface Counted {
  readonly packets: bigint | undefined;
  readonly bytes: bigint | undefined;
}

/** Sets the given counters of a direction; the other has none yet. */
export function setCounters(flow: MemoryFlow, side: 'original' | 'reply', { packets, bytes }: Counted): void {
  if (packets === undefined && bytes === undefined) return;
  const before = flow.counters ?? { original: NONE, reply: NONE };
  const now = { packets: packets ?? before[side].packets, bytes: bytes ?? before[side].bytes };
  flow.counters = { ...before, [side]: now };
}

const NONE = { packets: 0n, bytes: 0n };

function familyOf({ family, original, reply }: FlowInit, protonum: number): Family {
  const address = original?.src ?? original?.dst ?? reply?.src ?? reply?.dst;
  if (address !== undefined) return address.includes(':') ? 'ipv6' : 'ipv4';
  if (family === 'ipv4' || family === 'ipv6') return family;
  return protonum === icmpv6.number ? 'ipv6' : 'ipv4';
}

const HINTS: Readonly<Record<number, string>> = {
  [ENOENT]: 'there is no such flow in the table',
  [ENOMEM]: 'the table has maxEntries flows',
  [EEXIST]: 'a flow with this tuple, or with this reply, is in the table: give the new one other ports',
  [EINVAL]: 'packets like these begin no flow',
};

/** Throws a refusal of the rules as the library would. */
export function refusing<T>(request: 'CT_NEW' | 'CT_GET', work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { errno } = error;
    throw new KernelError(request, errno, errnoName(errno), errnoReason(errno), { hint: HINTS[errno] });
  }
}
