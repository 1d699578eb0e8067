// A flow as a JSON object: what `Flow.toJSON()` of the library gives. Members: docs/json.md; the schema is json-schema.ts.

import { MASTER, ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { DCCP_ROLES } from '../ctnetlink/protocols/dccp.js';
import { STATUS_NAMES } from '../ctnetlink/status.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import {
  bitTokens,
  describeBits,
  describeEnd,
  describeEntry,
  describeHex,
  describeTuple,
  endArray,
  endObject,
  endValue,
  kindMembers,
  member,
  textMember,
  writeNumberMember,
} from './json.js';
import { type PlanBuilder, writePlanned } from './plan.js';
import { JSON_STRING } from './safe-bytes.js';
import { entrySize, stateWords, writeLabelNames } from './shared.js';

const STATES = stateWords('",');
const STATUS_WORDS = bitTokens(STATUS_NAMES);
const LABELS = token('"labels":[');
const LABEL_NAMES = token('"labelNames":[');
const QUOTE = token('"');
const QUOTE_COMMA = token('",');
const ROLES = DCCP_ROLES.map((role) => textMember('role', role));
const COMMA = 44;

/** A label bit takes at most this many bytes: `1023,`. */
const BYTES_PER_LABEL = 8;

/** Appends one object, without a newline. With `options.event` the flow is the member `flow` of the event's object. */
export function writeFlowJson(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns) + view.length(S.labels) * 8 * BYTES_PER_LABEL);
  writePlanned(out, view, options, clock, describe);
  endValue(out);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  describeEntry(plan, options, 'flow', S.timestampEvent, () => describeMembers(plan, view));
}

function describeMembers(plan: PlanBuilder, view: View): void {
  const protonum = view.u8(ORIGINAL + T.protonum);
  if (view.has(S.id)) plan.u32('"id":', S.id, ',');
  plan.text(kindMembers(view, protonum));
  const states = STATES[protonum];
  if (states && view.has(states.slot)) plan.text('"state":"').word8(states.slot, states.words);
  if (view.has(S.timeout)) plan.u32('"timeout":', S.timeout, ',');
  describeSide(plan, view, ORIGINAL, 'original', S.packetsOriginal, S.bytesOriginal, S.seqAdjOriginalPos);
  describeSide(plan, view, REPLY, 'reply', S.packetsReply, S.bytesReply, S.seqAdjReplyPos);
  if (view.has(S.status)) describeBits(plan, 'status', S.status, STATUS_WORDS);
  if (view.has(S.mark)) plan.u32('"mark":', S.mark, ',');
  if (view.has(S.zone)) plan.u16('"zone":', S.zone, ',');
  if (view.has(S.labels)) plan.write(writeLabels);
  if (view.has(S.helper)) plan.string(JSON_STRING, '"helper":"', S.helper, '",');
  if (view.has(S.helperInfo)) describeHex(plan, 'helperInfo', S.helperInfo);
  if (view.has(MASTER + T.protonum)) {
    plan.text('"master":{');
    describeTuple(plan, view, MASTER);
    describeEnd(plan);
  }
  if (view.has(S.secmark)) plan.u32('"secmark":', S.secmark, ',');
  if (view.has(S.secctx)) plan.string(JSON_STRING, '"secctx":"', S.secctx, '",');
  if (view.has(S.use)) plan.u32('"use":', S.use, ',');
  const times: readonly Member[] = [
    ['start', S.timestampStart],
    ['stop', S.timestampStop],
  ];
  describeObject(plan, view, 'timestamp', times, (before, slot) => plan.safe64(before, slot, ','));
  describeProtocolMembers(plan, view);
}

function describeSide(
  plan: PlanBuilder,
  view: View,
  base: number,
  name: string,
  packets: number,
  bytes: number,
  seqAdj: number,
): void {
  plan.text(`"${name}":{`);
  describeTuple(plan, view, base);
  if (view.has(packets)) plan.safe64('"packets":', packets, ',');
  if (view.has(bytes)) plan.safe64('"bytes":', bytes, ',');
  describeTriple(plan, view, seqAdj, 'seqAdj', ['correctionPos', 'offsetBefore', 'offsetAfter']);
  describeEnd(plan);
}

type Member = readonly [name: string, slot: number];

/** An object of the members that the kernel sent; nothing if it sent none. */
function describeObject(
  plan: PlanBuilder,
  view: View,
  name: string,
  members: readonly Member[],
  describeOne: (before: string, slot: number) => void,
): void {
  const sent = members.filter(([, slot]) => view.has(slot));
  if (sent.length === 0) return;
  plan.text(`"${name}":{`);
  for (const [key, slot] of sent) describeOne(`"${key}":`, slot);
  describeEnd(plan);
}

function describeProtocolMembers(plan: PlanBuilder, view: View): void {
  const u8 = (before: string, slot: number) => plan.u8(before, slot, ',');
  const u32 = (before: string, slot: number) => plan.u32(before, slot, ',');
  const tcp: readonly Member[] = [
    ['wscaleOriginal', S.tcpWscaleOriginal],
    ['wscaleReply', S.tcpWscaleReply],
    ['flagsOriginal', S.tcpFlagsOriginal],
    ['flagsReply', S.tcpFlagsReply],
  ];
  describeObject(plan, view, 'tcp', tcp, u8);
  const sctp: readonly Member[] = [
    ['vtagOriginal', S.sctpVtagOriginal],
    ['vtagReply', S.sctpVtagReply],
  ];
  describeObject(plan, view, 'sctp', sctp, u32);
  if (view.has(S.dccpRole) || view.has(S.dccpHandshakeSeq)) {
    plan.text('"dccp":{');
    if (view.has(S.dccpRole)) plan.word8(S.dccpRole, ROLES);
    if (view.has(S.dccpHandshakeSeq)) plan.safe64('"handshakeSeq":', S.dccpHandshakeSeq, ',');
    describeEnd(plan);
  }
  describeTriple(plan, view, S.synproxyIsn, 'synproxy', ['isn', 'its', 'tsoff']);
}

/** An object of three numbers, unless all are 0: the kernel sends unused ones as 0. */
function describeTriple(plan: PlanBuilder, view: View, slot: number, name: string, names: readonly string[]): void {
  if (![slot, slot + 1, slot + 2].some((each) => view.has(each))) return;
  const open = token(`"${name}":{`);
  const members = names.map(member);
  plan.write((out, entry) => {
    if (!entry.any32x3(slot)) return;
    out.token(open);
    for (let i = 0; i < 3; i++) writeNumberMember(out, members[i]!, entry.be32(slot + i));
    endObject(out);
  });
}

function writeLabels(out: ByteWriter, view: View, options: FormatOptions): void {
  out.token(LABELS);
  const words = view.length(S.labels) >> 2;
  for (let word = 0; word < words; word++) {
    const bits = view.labelWord(S.labels, word);
    for (let bit = 0; bit < 32; bit++) {
      if (((bits >>> bit) & 1) === 0) continue;
      out.decimal(word * 32 + bit);
      out.byte(COMMA);
    }
  }
  endArray(out);
  if (!options.labels) return;
  out.token(LABEL_NAMES);
  writeLabelNames(out, view, options.labels, QUOTE, QUOTE_COMMA);
  endArray(out);
}
