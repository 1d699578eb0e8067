// `-o save`: a flow as the command line that makes it again with `conntrack -R`. Order: cli.md 5.4.

import { eventType } from '../ctnetlink/event-type.js';
import { MASTER, ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { dnatAddress, dnatPort, snatAddress, snatPort } from '../ctnetlink/nat.js';
import { DCCP_ROLES, dccp } from '../ctnetlink/protocols/dccp.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { savedVtag } from '../ctnetlink/protocols/sctp.js';
import { IPS_ASSURED, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, TokenTable, token } from './byte-writer.js';
import { writeOriginComment, writeUserspace } from './event-words.js';
import type { FormatOptions } from './options.js';
import {
  entrySize,
  hasDestination,
  hasSource,
  NEWLINE,
  SPACE,
  stateTokens,
  writeCounter,
  writeDestination,
  writeSource,
} from './shared.js';

const VERBS = { add: token('-A '), update: token('-U '), delete: token('-D ') } as const;
/** By `eventType`. */
const EVENT_VERBS = [VERBS.add, VERBS.update, VERBS.delete] as const;
/** What the saved line does. Events choose by themselves. */
export type SaveVerb = keyof typeof VERBS;

const TIMEOUT = token('-t ');
const STATUS = token('-u ');
const SECMARK = token('-c ');
const ZONE = token('-w ');
const ORIG_ZONE = token('--orig-zone ');
const REPLY_ZONE = token('--reply-zone ');
const SRC = token('-s ');
const DST = token('-d ');
const REPLY_SRC = token('-r ');
const REPLY_DST = token('-q ');
const DST_NAT = token('-g ');
const SRC_NAT = token('-n ');
const SPORT = token('--sport ');
const DPORT = token('--dport ');
const REPLY_SPORT = token('--reply-port-src ');
const REPLY_DPORT = token('--reply-port-dst ');
const SRCKEY = token('--srckey ');
const DSTKEY = token('--dstkey ');
const REPLY_SRCKEY = token('--reply-key-src ');
const REPLY_DSTKEY = token('--reply-key-dst ');
const STATE = token('--state ');
const ORIG_VTAG = token('--orig-vtag ');
const REPLY_VTAG = token('--reply-vtag ');
const ROLES = DCCP_ROLES.map((role) => token(`--role ${role} `));
const ICMP = { type: token('--icmp-type '), code: token('--icmp-code '), id: token('--icmp-id ') };
const ICMPV6 = { type: token('--icmpv6-type '), code: token('--icmpv6-code '), id: token('--icmpv6-id ') };
const UNSET = token('UNSET ');
const COMMA = 44;

const UNTRACKED_PORTS = token('--sport 0 --dport 0 --reply-port-src 0 --reply-port-dst 0 ');
const UNTRACKED_STATE = token('--state NONE ');
const UNTRACKED_DCCP = token('--state NONE --role client ');
const MARK = token('-m ');
const LABEL_BITS = token('--label-bits 0x');
const HELPER = token('--helper ');
const MASTER_SRC = token('--master-src ');
const MASTER_DST = token('--master-dst ');
const MASTER_PROTO = token('--master-proto ');
const MASTER_PORTS = token('--master-ports ');
const TCP_WSCALE = token('--tcp-wscale ');
const TCP_FLAGS = token('--tcp-flags ');
const SEQADJ_ORIG = token('--seqadj-orig ');
const SEQADJ_REPLY = token('--seqadj-reply ');
const SYNPROXY = token('--synproxy ');
const HANDSHAKE_SEQ = token('--handshake-seq ');
const COLON = 58;
const BRACKET_OPEN = 91;
const BRACKET_CLOSE = 93;

/** Saved in bit order; other bits cannot be set from outside. */
const STATUS_WORDS: readonly (readonly [number, Token])[] = [
  [IPS_EXPECTED, token('EXPECTED')],
  [IPS_SEEN_REPLY, token('SEEN_REPLY')],
  [IPS_ASSURED, token('ASSURED')],
  [IPS_FIXED_TIMEOUT, token('FIXED_TIMEOUT')],
];
const STATES = stateTokens(' ');
const PROTOCOL = new TokenTable((n) => {
  const protocol = protocolByNumber(n);
  return `-p ${protocol.number === n ? protocol.name : n} `;
});

/** Appends one line. Mark, labels, helper and NAT ports are part of it only with `options.full` (B23). */
export function writeFlowSave(out: ByteWriter, view: View, options: FormatOptions, verb: SaveVerb = 'add'): void {
  out.reserve(entrySize(view, options.labels));
  if (options.event) writeOriginComment(out, view);
  out.token(options.event ? EVENT_VERBS[eventType(view)]! : VERBS[verb]);
  if (view.has(S.timeout)) writeNumber(out, TIMEOUT, view.be32(S.timeout));
  if (view.has(S.status)) writeStatus(out, view.be32(S.status));
  if (view.has(S.secmark)) writeNumber(out, SECMARK, view.be32(S.secmark));
  if (view.has(S.zone)) writeNumber(out, ZONE, view.be16(S.zone));
  if (view.has(ORIGINAL + T.tupleZone)) writeNumber(out, ORIG_ZONE, view.be16(ORIGINAL + T.tupleZone));
  if (view.has(REPLY + T.tupleZone)) writeNumber(out, REPLY_ZONE, view.be16(REPLY + T.tupleZone));
  writeSourceOption(out, view, ORIGINAL, SRC);
  writeDestinationOption(out, view, ORIGINAL, DST);
  const ports = options.full && protocolByNumber(view.u8(ORIGINAL + T.protonum)).tuple === 'ports';
  if (ports && dnatPort(view) && hasSource(view, REPLY))
    writeNatWithPort(out, view, DST_NAT, REPLY + T.v4Src, REPLY + T.v6Src, view.be16(REPLY + T.sport));
  else writeSourceOption(out, view, REPLY, dnatAddress(view) ? DST_NAT : REPLY_SRC);
  if (ports && snatPort(view) && hasDestination(view, REPLY))
    writeNatWithPort(out, view, SRC_NAT, REPLY + T.v4Dst, REPLY + T.v6Dst, view.be16(REPLY + T.dport));
  else writeDestinationOption(out, view, REPLY, snatAddress(view) ? SRC_NAT : REPLY_DST);
  writeProtocol(out, view, options.full);
  if (options.full) writeRest(out, view);
  if (options.event) writeUserspace(out, view, options);
  out.dropLast(); // the space behind the last word
  out.byte(NEWLINE);
  out.endEntry();
}

function writeStatus(out: ByteWriter, status: number): void {
  out.token(STATUS);
  let named = 0;
  for (let i = 0; i < STATUS_WORDS.length; i++) {
    const row = STATUS_WORDS[i]!;
    if ((status & row[0]) === 0) continue;
    if (named++ > 0) out.byte(COMMA);
    out.token(row[1]);
  }
  if (named === 0) out.token(UNSET);
  else out.byte(SPACE);
}

function writeSourceOption(out: ByteWriter, view: View, base: number, option: Token): void {
  if (!hasSource(view, base)) return;
  out.token(option);
  writeSource(out, view, base);
  out.byte(SPACE);
}

function writeDestinationOption(out: ByteWriter, view: View, base: number, option: Token): void {
  if (!hasDestination(view, base)) return;
  out.token(option);
  writeDestination(out, view, base);
  out.byte(SPACE);
}

/** `-n ADDR:PORT`, `-n [ADDR]:PORT`. */
function writeNatWithPort(out: ByteWriter, view: View, option: Token, v4: number, v6: number, port: number): void {
  out.token(option);
  if (view.has(v4)) out.ipv4(view.bytes, view.offset(v4));
  else {
    out.byte(BRACKET_OPEN);
    out.ipv6(view.bytes, view.offset(v6));
    out.byte(BRACKET_CLOSE);
  }
  out.byte(COLON);
  out.decimal(port);
  out.byte(SPACE);
}

/** What the C tool's form leaves out. Counters, times, id and security context are the kernel's own: they cannot be set. */
function writeRest(out: ByteWriter, view: View): void {
  if (view.be32(S.mark) !== 0) writeNumber(out, MARK, view.be32(S.mark));
  if (view.has(S.labels)) writeLabelBits(out, view);
  if (view.has(S.helper)) {
    out.token(HELPER);
    out.raw(view.bytes, view.offset(S.helper), view.stringLength(S.helper));
    out.byte(SPACE);
  }
  if (view.has(MASTER + T.protonum)) writeMaster(out, view);
  if (view.has(S.tcpFlagsOriginal) && view.has(S.tcpFlagsReply)) {
    if (view.has(S.tcpWscaleOriginal)) writePair(out, TCP_WSCALE, view.u8(S.tcpWscaleOriginal), view.u8(S.tcpWscaleReply));
    writePair(out, TCP_FLAGS, view.u8(S.tcpFlagsOriginal), view.u8(S.tcpFlagsReply));
  }
  writeTriple(out, SEQADJ_ORIG, view, S.seqAdjOriginalPos, S.seqAdjOriginalBefore, S.seqAdjOriginalAfter);
  writeTriple(out, SEQADJ_REPLY, view, S.seqAdjReplyPos, S.seqAdjReplyBefore, S.seqAdjReplyAfter);
  writeTriple(out, SYNPROXY, view, S.synproxyIsn, S.synproxyIts, S.synproxyTsoff);
  if (view.has(S.dccpHandshakeSeq)) {
    out.token(HANDSHAKE_SEQ);
    writeCounter(out, view, S.dccpHandshakeSeq);
    out.byte(SPACE);
  }
}

function writeMaster(out: ByteWriter, view: View): void {
  writeSourceOption(out, view, MASTER, MASTER_SRC);
  writeDestinationOption(out, view, MASTER, MASTER_DST);
  writeNumber(out, MASTER_PROTO, view.u8(MASTER + T.protonum));
  if (view.has(MASTER + T.sport)) writePair(out, MASTER_PORTS, view.be16(MASTER + T.sport), view.be16(MASTER + T.dport));
}

/** `--label-bits 0x…`, the highest word first. */
function writeLabelBits(out: ByteWriter, view: View): void {
  out.token(LABEL_BITS);
  for (let word = (view.length(S.labels) >> 2) - 1; word >= 0; word--)
    for (let shift = 28; shift >= 0; shift -= 4) out.hex((view.labelWord(S.labels, word) >>> shift) & 15);
  out.byte(SPACE);
}

function writePair(out: ByteWriter, option: Token, first: number, second: number): void {
  out.token(option);
  out.decimal(first);
  out.byte(COMMA);
  out.decimal(second);
  out.byte(SPACE);
}

/** Nothing when all three are 0: the kernel sends such nests for every entry. */
function writeTriple(out: ByteWriter, option: Token, view: View, a: number, b: number, c: number): void {
  if (!view.has(a) || (view.be32(a) | view.be32(b) | view.be32(c)) === 0) return;
  out.token(option);
  out.decimal(view.be32(a));
  out.byte(COMMA);
  out.decimal(view.be32(b));
  out.byte(COMMA);
  out.decimal(view.be32(c));
  out.byte(SPACE);
}

/** `full`: ports and state also where this kernel does not track the protocol, since loading demands them (B26). */
function writeProtocol(out: ByteWriter, view: View, full: boolean): void {
  if (!view.has(ORIGINAL + T.protonum)) return;
  const number = view.u8(ORIGINAL + T.protonum);
  out.token(PROTOCOL.get(number));
  switch (protocolByNumber(number).tuple) {
    case 'ports':
      if (full && !view.has(ORIGINAL + T.sport)) {
        out.token(UNTRACKED_PORTS);
        break;
      }
      writeField16(out, SPORT, view, ORIGINAL + T.sport);
      writeField16(out, DPORT, view, ORIGINAL + T.dport);
      writeField16(out, REPLY_SPORT, view, REPLY + T.sport);
      writeField16(out, REPLY_DPORT, view, REPLY + T.dport);
      break;
    case 'keys':
      writeField16(out, SRCKEY, view, ORIGINAL + T.sport);
      writeField16(out, DSTKEY, view, ORIGINAL + T.dport);
      writeField16(out, REPLY_SRCKEY, view, REPLY + T.sport);
      writeField16(out, REPLY_DSTKEY, view, REPLY + T.dport);
      break;
    case 'icmp':
      writeField8(out, ICMP.type, view, ORIGINAL + T.icmpType);
      writeField8(out, ICMP.code, view, ORIGINAL + T.icmpCode);
      writeField16(out, ICMP.id, view, ORIGINAL + T.icmpId);
      break;
    case 'icmpv6':
      writeField8(out, ICMPV6.type, view, ORIGINAL + T.icmpv6Type);
      writeField8(out, ICMPV6.code, view, ORIGINAL + T.icmpv6Code);
      writeField16(out, ICMPV6.id, view, ORIGINAL + T.icmpv6Id);
      break;
    case 'none':
      break;
  }
  const states = STATES[number];
  if (states && view.has(states.slot)) {
    out.token(STATE);
    out.token(states.words[view.u8(states.slot)] ?? states.words[0]!);
  } else if (states && full) out.token(number === dccp.number ? UNTRACKED_DCCP : UNTRACKED_STATE);
  if (view.has(S.sctpVtagOriginal)) writeVtag(out, ORIG_VTAG, view, S.sctpVtagOriginal);
  if (view.has(S.sctpVtagReply)) writeVtag(out, REPLY_VTAG, view, S.sctpVtagReply);
  if (view.has(S.dccpRole)) out.token(ROLES[view.u8(S.dccpRole)] ?? ROLES[0]!);
}

function writeVtag(out: ByteWriter, option: Token, view: View, slot: number): void {
  writeNumber(out, option, savedVtag(view.be32(slot)));
}

function writeField8(out: ByteWriter, option: Token, view: View, slot: number): void {
  if (view.has(slot)) writeNumber(out, option, view.u8(slot));
}

function writeField16(out: ByteWriter, option: Token, view: View, slot: number): void {
  if (view.has(slot)) writeNumber(out, option, view.be16(slot));
}

function writeNumber(out: ByteWriter, option: Token, value: number): void {
  out.token(option);
  out.decimal(value);
  out.byte(SPACE);
}
