// How requests create and change flows: which attributes apply in which order, and what is refused. Source: ctnetlink_create_conntrack(),
// ctnetlink_change_conntrack() in net/netfilter/nf_conntrack_netlink.c.

import { DIRECTIONS, MASTER, ORIGINAL, REPLY, S } from '../ctnetlink/fields.js';
import { LABEL_BITS } from '../ctnetlink/flow-spec.js';
import { DCCP_ROLES, DCCP_STATES, dccp } from '../ctnetlink/protocols/dccp.js';
import { sctp } from '../ctnetlink/protocols/sctp.js';
import { TCP_STATES, tcp } from '../ctnetlink/protocols/tcp.js';
import {
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_HELPER,
  IPS_SEEN_REPLY,
  IPS_SEQ_ADJUST,
} from '../ctnetlink/uapi/nf-conntrack-common.js';
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, ERANGE } from '../wire/errno.js';
import { knowsHelper } from './helpers.js';
import { type LabelWords, MemoryFlow } from './memory-flow.js';
import { idOf, keyOf, type MemoryFlows } from './memory-flows.js';
import { translate } from './nat-rules.js';
import { Refusal } from './netlink-answers.js';
import { R, type TableRequest, textOf } from './table-request.js';

/** What the rules need to know about the table. */
export interface FlowTable {
  readonly flows: MemoryFlows;
  readonly maxEntries: number;
  /** Seconds of the table's clock. */
  readonly now: number;
  /** Nanoseconds since the epoch; only if times are kept. */
  readonly timestamp: bigint | undefined;
  /** Whether packets and bytes are counted. */
  readonly accounting: boolean;
  /** Whether a ruleset uses labels. */
  readonly labels: boolean;
}

/** Longer than any flow may live: INT_MAX / HZ seconds. */
const LONGEST = 8589934;
/** Bits that a request may set; others are ignored. */
const SETTABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT | IPS_HELPER;
/** IP_CT_TCP_FLAG_WINDOW_SCALE */
const WINDOW_SCALE = 0x01;
const LARGEST_SCALE = 14;

/**
 * Makes the flow of a request and puts it into the table. A flow made by packets may have any helper and master.
 * @throws Refusal
 */
export function createFlow(request: TableRequest, table: FlowTable, how: 'by request' | 'by packets' = 'by request'): MemoryFlow {
  const { view, family } = request;
  if (!request.hasTuple(ORIGINAL) || !request.hasTuple(REPLY)) throw new Refusal(EINVAL);
  const zone = request.zone(ORIGINAL, REPLY);
  const original = request.tuple(ORIGINAL);
  const reply = request.tuple(REPLY);
  if (original.protonum !== reply.protonum) throw new Refusal(EINVAL);
  if (table.flows.size >= table.maxEntries) throw new Refusal(ENOMEM);
  if (!view.has(S.timeout)) throw new Refusal(EINVAL);
  const flow = new MemoryFlow(family, zone, original, reply, idOf(keyOf(original, zone.id)));
  const helper = textOf(view, S.helper);
  if (helper !== undefined) {
    if (how === 'by request' && !knowsHelper(helper, flow)) throw new Refusal(EOPNOTSUPP);
    flow.helper = helper;
    flow.hasHelperRoom = true;
    flow.status |= IPS_HELPER;
  }
  const destination = request.translation(R.dstNatV4, R.dstNatV6, R.dstNatPort);
  const source = request.translation(R.srcNatV4, R.srcNatV6, R.srcNatPort);
  if (destination ?? source) {
    translate(flow, 'dst', destination, table.flows);
    translate(flow, 'src', source, table.flows);
  }
  flow.deadline = deadlineOf(request, table);
  if (view.has(S.status)) setStatus(flow, view.be32(S.status));
  adjustSequence(request, flow);
  setProtocol(request, flow);
  setSynproxy(request, flow);
  setMark(request, flow);
  if (request.hasTuple(MASTER)) {
    const tuple = request.tuple(MASTER);
    const master = table.flows.find(tuple, zone);
    if (!master && how === 'by request') throw new Refusal(ENOENT);
    flow.master = master?.original ?? tuple;
    flow.status |= IPS_EXPECTED;
  }
  if (table.flows.clashes(flow)) throw new Refusal(EEXIST);
  if (table.accounting) {
    const none = { packets: 0n, bytes: 0n };
    flow.counters = { original: none, reply: none };
  }
  if (table.timestamp !== undefined) flow.timestamp = { start: table.timestamp };
  if (table.labels || (how === 'by packets' && view.has(S.labels))) flow.labels = [0, 0, 0, 0];
  table.flows.add(flow);
  // A flow without room for labels is created anyway.
  if (flow.labels && labelsAreRight(request)) setLabels(request, flow);
  return flow;
}

/** Changes a flow as requested. Changes made before a refusal stay. @throws Refusal */
export function changeFlow(request: TableRequest, flow: MemoryFlow, table: FlowTable): void {
  const { view } = request;
  const translated = [R.srcNatV4, R.srcNatV6, R.dstNatV4, R.dstNatV6].some((slot) => view.has(slot));
  if (translated || request.hasTuple(MASTER)) throw new Refusal(EOPNOTSUPP);
  const helper = textOf(view, S.helper);
  if (helper !== undefined) changeHelper(flow, helper);
  if (view.has(S.timeout)) {
    if (flow.has(IPS_FIXED_TIMEOUT)) throw new Refusal(EPERM);
    flow.deadline = deadlineOf(request, table);
  }
  if (view.has(S.status)) setStatus(flow, view.be32(S.status));
  setProtocol(request, flow);
  setMark(request, flow);
  adjustSequence(request, flow);
  setSynproxy(request, flow);
  if (view.has(S.labels)) {
    if (!labelsAreRight(request)) throw new Refusal(EINVAL);
    if (!flow.labels) throw new Refusal(ENOSPC);
    setLabels(request, flow);
  }
}

function deadlineOf({ view }: TableRequest, { now }: FlowTable): number {
  return now + Math.min(view.be32(S.timeout), LONGEST);
}

function changeHelper(flow: MemoryFlow, helper: string): void {
  if (flow.master) {
    if (flow.helper !== helper) throw new Refusal(EBUSY);
  } else if (helper === '') flow.helper = undefined;
  else if (!knowsHelper(helper, flow)) throw new Refusal(EOPNOTSUPP);
  else if (!flow.hasHelperRoom) throw new Refusal(EOPNOTSUPP);
  else if (flow.helper !== helper) throw new Refusal(EBUSY);
}

/** Status bits are only ever set. */
function setStatus(flow: MemoryFlow, status: number): void {
  const changed = flow.status ^ status;
  if ((changed & (IPS_EXPECTED | IPS_CONFIRMED | IPS_DYING)) !== 0) throw new Refusal(EBUSY);
  if ((changed & ~status & (IPS_SEEN_REPLY | IPS_ASSURED)) !== 0) throw new Refusal(EBUSY);
  flow.status |= status & SETTABLE;
}

function setMark({ view }: TableRequest, flow: MemoryFlow): void {
  if (!view.has(S.mark)) return;
  const mask = view.has(R.markMask) ? view.be32(R.markMask) : 0xffffffff;
  flow.mark = ((flow.mark & ~mask) ^ view.be32(S.mark)) >>> 0;
}

function setProtocol(request: TableRequest, flow: MemoryFlow): void {
  if (flow.protonum === tcp.number) setTcp(request, flow);
  else if (flow.protonum === sctp.number) setSctp(request, flow);
  else if (flow.protonum === dccp.number) setDccp(request, flow);
}

function setTcp({ view }: TableRequest, flow: MemoryFlow): void {
  if (view.u8(S.tcpState) >= TCP_STATES.length) throw new Refusal(ERANGE);
  if (Math.max(view.u8(S.tcpWscaleOriginal), view.u8(S.tcpWscaleReply)) > LARGEST_SCALE) throw new Refusal(ERANGE);
  if (view.has(S.tcpState)) flow.state = view.u8(S.tcpState);
  for (const [side, slot] of [
    ['original', S.tcpFlagsOriginal],
    ['reply', S.tcpFlagsReply],
  ] as const) {
    if (!view.has(slot)) continue;
    const mask = view.bytes[view.offset(slot) + 1]!;
    flow.tcpFlags[side] = (flow.tcpFlags[side] & ~mask) | (view.u8(slot) & mask);
  }
  const scaled = (flow.tcpFlags.original & flow.tcpFlags.reply & WINDOW_SCALE) !== 0;
  if (scaled && view.has(S.tcpWscaleOriginal) && view.has(S.tcpWscaleReply))
    flow.tcpScales = { original: view.u8(S.tcpWscaleOriginal), reply: view.u8(S.tcpWscaleReply) };
}

/** The last state is retired. */
const SCTP_STATES_SET = 9;

function setSctp({ view }: TableRequest, flow: MemoryFlow): void {
  const slots = [S.sctpState, S.sctpVtagOriginal, S.sctpVtagReply];
  const given = slots.filter((slot) => view.has(slot)).length;
  if (given === 0) return;
  if (view.u8(S.sctpState) >= SCTP_STATES_SET) throw new Refusal(ERANGE);
  if (given < slots.length) throw new Refusal(EINVAL);
  flow.state = view.u8(S.sctpState);
  flow.sctpTags = { original: view.be32(S.sctpVtagOriginal), reply: view.be32(S.sctpVtagReply) };
}

function setDccp({ view }: TableRequest, flow: MemoryFlow): void {
  if (!view.has(S.dccpState) && !view.has(S.dccpRole)) return;
  if (!view.has(S.dccpState) || !view.has(S.dccpRole)) throw new Refusal(EINVAL);
  if (view.u8(S.dccpState) >= DCCP_STATES.length || view.u8(S.dccpRole) >= DCCP_ROLES.length) throw new Refusal(EINVAL);
  flow.state = view.u8(S.dccpState);
  flow.dccpRole = view.u8(S.dccpRole);
  flow.dccpHandshake = view.be64(S.dccpHandshakeSeq);
}

function adjustSequence(request: TableRequest, flow: MemoryFlow): void {
  for (const { name, seqAdj } of DIRECTIONS) {
    const numbers = request.triple(seqAdj);
    if (!numbers) continue;
    const [correctionPos, offsetBefore, offsetAfter] = numbers;
    flow.seqAdj[name] = { correctionPos, offsetBefore, offsetAfter };
    flow.status |= IPS_SEQ_ADJUST;
  }
}

function setSynproxy(request: TableRequest, flow: MemoryFlow): void {
  const numbers = request.triple(S.synproxyIsn);
  if (numbers) flow.synproxy = { isn: numbers[0], its: numbers[1], tsoff: numbers[2] };
}

const LABEL_WORDS = LABEL_BITS / 32;

function labelsAreRight({ view }: TableRequest): boolean {
  const length = view.length(S.labels);
  if (!view.has(S.labels) || length % 4 !== 0) return false;
  return !view.has(R.labelsMask) || view.length(R.labelsMask) === length;
}

/** Words that are missing are cleared. */
function setLabels({ view }: TableRequest, flow: MemoryFlow): void {
  const words = view.length(S.labels) / 4;
  const word = (i: number) => {
    if (i >= words) return 0;
    const mask = view.has(R.labelsMask) ? view.labelWord(R.labelsMask, i) : 0xffffffff;
    return ((flow.labels![i]! & ~mask) ^ view.labelWord(S.labels, i)) >>> 0;
  };
  flow.labels = Array.from({ length: LABEL_WORDS }, (_, i) => word(i)) as unknown as LabelWords;
}
