// `-o save`: a flow as the command line that recreates it with `conntrack -R`. Order: docs/behaviour.md 5.4.

import { eventType } from '../ctnetlink/event-type.js';
import { MASTER, ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { dnatAddress, dnatPort, snatAddress, snatPort } from '../ctnetlink/nat.js';
import { DCCP_ROLES, dccp } from '../ctnetlink/protocols/dccp.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { savedVtag } from '../ctnetlink/protocols/sctp.js';
import { IPS_ASSURED, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import { writeOriginComment, writeUserspaceWord } from './event-words.js';
import { type FormatOptions, WallClock } from './format-options.js';
import { combinations, type PlanBuilder } from './plan.js';
import { WORD } from './safe-bytes.js';
import { entrySize, hasDestination, hasSource, icmpSlots, SPACE, stateWords, writeLine } from './shared.js';

const VERBS = { add: token('-A '), update: token('-U '), delete: token('-D ') } as const;
/** By `eventType`. */
const EVENT_VERBS = [VERBS.add, VERBS.update, VERBS.delete] as const;
/** What the saved line does. Events decide it by their type. */
export type SaveVerb = keyof typeof VERBS;

const REPLY_SRC = token('-r ');
const REPLY_DST = token('-q ');
const DST_NAT = token('-g ');
const SRC_NAT = token('-n ');
const MARK = token('-m ');
const COMMA = 44;
const COLON = 58;
const BRACKET_OPEN = 91;
const BRACKET_CLOSE = 93;

/** Saved in bit order; other bits cannot be set from outside. */
const STATUS = combinations(
  [
    [IPS_EXPECTED, 'EXPECTED'],
    [IPS_SEEN_REPLY, 'SEEN_REPLY'],
    [IPS_ASSURED, 'ASSURED'],
    [IPS_FIXED_TIMEOUT, 'FIXED_TIMEOUT'],
  ],
  (names) => `-u ${names.join()} `,
);
const NO_STATUS = '-u UNSET ';
const STATES = stateWords(' ');
const ROLES = DCCP_ROLES.map((role) => `--role ${role} `);
/** A saved line contains no time. */
const NO_CLOCK = new WallClock();

/** Appends one line; with `options.full` mark, labels, helper, NAT ports and more too (docs/differences.md B23). */
export function writeFlowSave(out: ByteWriter, view: View, options: FormatOptions, verb: SaveVerb = 'add'): void {
  out.reserve(entrySize(view, options.labels));
  if (options.event) writeOriginComment(out, view);
  out.token(options.event ? EVENT_VERBS[eventType(view)]! : VERBS[verb]);
  writeLine(out, view, options, NO_CLOCK, describe);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  if (view.has(S.timeout)) plan.u32('-t ', S.timeout, ' ');
  if (view.has(S.status)) plan.choose32(S.status, STATUS, NO_STATUS);
  if (view.has(S.secmark)) plan.u32('-c ', S.secmark, ' ');
  if (view.has(S.zone)) plan.u16('-w ', S.zone, ' ');
  if (view.has(ORIGINAL + T.tupleZone)) plan.u16('--orig-zone ', ORIGINAL + T.tupleZone, ' ');
  if (view.has(REPLY + T.tupleZone)) plan.u16('--reply-zone ', REPLY + T.tupleZone, ' ');
  describeAddresses(plan, view, ORIGINAL, '-s ', '-d ');
  const ports = options.full && protocolByNumber(view.u8(ORIGINAL + T.protonum)).tuple === 'ports';
  if (hasSource(view, REPLY)) plan.write(ports ? writeReplySourceWithPort : writeReplySource);
  if (hasDestination(view, REPLY)) plan.write(ports ? writeReplyDestinationWithPort : writeReplyDestination);
  if (view.has(ORIGINAL + T.protonum)) describeProtocol(plan, view, view.u8(ORIGINAL + T.protonum), options.full);
  if (options.full) describeRest(plan, view);
  if (options.event) plan.write(writeUserspaceWord);
}

function describeAddresses(plan: PlanBuilder, view: View, base: number, src: string, dst: string): void {
  if (hasSource(view, base)) plan.address(src, base + T.v4Src, base + T.v6Src, ' ');
  if (hasDestination(view, base)) plan.address(dst, base + T.v4Dst, base + T.v6Dst, ' ');
}

function writeReplySource(out: ByteWriter, view: View): void {
  out.token(dnatAddress(view) ? DST_NAT : REPLY_SRC);
  writeAddress(out, view, REPLY + T.v4Src, REPLY + T.v6Src);
  out.byte(SPACE);
}

function writeReplyDestination(out: ByteWriter, view: View): void {
  out.token(snatAddress(view) ? SRC_NAT : REPLY_DST);
  writeAddress(out, view, REPLY + T.v4Dst, REPLY + T.v6Dst);
  out.byte(SPACE);
}

/** Whichever of the two the message has. */
function writeAddress(out: ByteWriter, view: View, v4: number, v6: number): void {
  if (view.has(v4)) out.ipv4(view.data, view.offset(v4));
  else out.ipv6(view.data, view.offset(v6));
}

function writeReplySourceWithPort(out: ByteWriter, view: View): void {
  if (dnatPort(view)) writeWithPort(out, view, DST_NAT, REPLY + T.v4Src, REPLY + T.v6Src, REPLY + T.sport);
  else writeReplySource(out, view);
}

function writeReplyDestinationWithPort(out: ByteWriter, view: View): void {
  if (snatPort(view)) writeWithPort(out, view, SRC_NAT, REPLY + T.v4Dst, REPLY + T.v6Dst, REPLY + T.dport);
  else writeReplyDestination(out, view);
}

/** `-n ADDR:PORT`, `-n [ADDR]:PORT`. */
function writeWithPort(out: ByteWriter, view: View, option: Token, v4: number, v6: number, port: number): void {
  const bracketed = !view.has(v4);
  out.token(option);
  if (bracketed) out.byte(BRACKET_OPEN);
  writeAddress(out, view, v4, v6);
  if (bracketed) out.byte(BRACKET_CLOSE);
  out.byte(COLON);
  out.decimal(view.be16(port));
  out.byte(SPACE);
}

/** `full`: ports and state even where the kernel does not track the protocol: loading requires them (docs/differences.md B26). */
function describeProtocol(plan: PlanBuilder, view: View, number: number, full: boolean): void {
  const { tuple, name, number: known } = protocolByNumber(number);
  const u16 = (option: string, slot: number) => {
    if (view.has(slot)) plan.u16(option, slot, ' ');
  };
  const u8 = (option: string, slot: number) => {
    if (view.has(slot)) plan.u8(option, slot, ' ');
  };
  plan.text(`-p ${known === number ? name : number} `);
  switch (tuple) {
    case 'ports':
      if (full && !view.has(ORIGINAL + T.sport)) {
        plan.text('--sport 0 --dport 0 --reply-port-src 0 --reply-port-dst 0 ');
        break;
      }
      u16('--sport ', ORIGINAL + T.sport);
      u16('--dport ', ORIGINAL + T.dport);
      u16('--reply-port-src ', REPLY + T.sport);
      u16('--reply-port-dst ', REPLY + T.dport);
      break;
    case 'keys':
      u16('--srckey ', ORIGINAL + T.sport);
      u16('--dstkey ', ORIGINAL + T.dport);
      u16('--reply-key-src ', REPLY + T.sport);
      u16('--reply-key-dst ', REPLY + T.dport);
      break;
    case 'icmp':
    case 'icmpv6': {
      const { type, code, id } = icmpSlots(tuple, ORIGINAL);
      u8(`--${tuple}-type `, type);
      u8(`--${tuple}-code `, code);
      u16(`--${tuple}-id `, id);
      break;
    }
    case 'none':
      break;
  }
  const states = STATES[number];
  if (states && view.has(states.slot)) plan.text('--state ').word8(states.slot, states.words);
  else if (states && full) plan.text(number === dccp.number ? '--state NONE --role client ' : '--state NONE ');
  if (view.has(S.sctpVtagOriginal)) describeVtag(plan, '--orig-vtag ', S.sctpVtagOriginal);
  if (view.has(S.sctpVtagReply)) describeVtag(plan, '--reply-vtag ', S.sctpVtagReply);
  if (view.has(S.dccpRole)) plan.word8(S.dccpRole, ROLES);
}

function describeVtag(plan: PlanBuilder, option: string, slot: number): void {
  plan.text(option).write((out, view) => {
    out.decimal(savedVtag(view.be32(slot)));
    out.byte(SPACE);
  });
}

/** What the C tool's form leaves out. Counters, times, id and security context cannot be set. */
function describeRest(plan: PlanBuilder, view: View): void {
  if (view.has(S.mark)) plan.write(writeMark);
  if (view.has(S.labels)) plan.text('--label-bits 0x').write(writeLabelBits);
  if (view.has(S.helper)) plan.string(WORD, '--helper ', S.helper, ' ');
  if (view.has(MASTER + T.protonum)) {
    describeAddresses(plan, view, MASTER, '--master-src ', '--master-dst ');
    plan.u8('--master-proto ', MASTER + T.protonum, ' ');
    if (view.has(MASTER + T.sport)) plan.u16('--master-ports ', MASTER + T.sport).u16(',', MASTER + T.dport, ' ');
  }
  if (view.has(S.tcpFlagsOriginal) && view.has(S.tcpFlagsReply)) {
    if (view.has(S.tcpWscaleOriginal)) plan.u8('--tcp-wscale ', S.tcpWscaleOriginal).u8(',', S.tcpWscaleReply, ' ');
    plan.u8('--tcp-flags ', S.tcpFlagsOriginal).u8(',', S.tcpFlagsReply, ' ');
  }
  describeTriple(plan, view, '--seqadj-orig ', S.seqAdjOriginalPos);
  describeTriple(plan, view, '--seqadj-reply ', S.seqAdjReplyPos);
  describeTriple(plan, view, '--synproxy ', S.synproxyIsn);
  if (view.has(S.dccpHandshakeSeq)) plan.u64('--handshake-seq ', S.dccpHandshakeSeq, ' ');
}

function writeMark(out: ByteWriter, view: View): void {
  if (view.be32(S.mark) === 0) return;
  out.token(MARK);
  out.decimal(view.be32(S.mark));
  out.byte(SPACE);
}

/** The highest word first. */
function writeLabelBits(out: ByteWriter, view: View): void {
  for (let word = (view.length(S.labels) >> 2) - 1; word >= 0; word--)
    for (let shift = 28; shift >= 0; shift -= 4) out.hex((view.labelWord(S.labels, word) >>> shift) & 15);
  out.byte(SPACE);
}

/** Nothing if all three are 0: the kernel sends such nests for every entry. */
function describeTriple(plan: PlanBuilder, view: View, option: string, slot: number): void {
  if (!view.has(slot)) return;
  const name = token(option);
  plan.write((out, entry) => {
    if (!entry.any32x3(slot)) return;
    out.token(name);
    out.decimal(entry.be32(slot));
    out.byte(COMMA);
    out.decimal(entry.be32(slot + 1));
    out.byte(COMMA);
    out.decimal(entry.be32(slot + 2));
    out.byte(SPACE);
  });
}
