// A flow as a JSON object: what `Flow.toJSON()` of the library gives. Members: docs/json.md; the schema is json-schema.ts.

import { MASTER, ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { DCCP_ROLES } from '../ctnetlink/protocols/dccp.js';
import { STATUS_NAMES } from '../ctnetlink/status.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import {
  bitTokens,
  endArray,
  endObject,
  endValue,
  member,
  openEvent,
  textMember,
  writeBe32Member,
  writeBitsMember,
  writeCounterMember,
  writeFamily,
  writeHexMember,
  writeNumberMember,
  writeProtocol,
  writeStringMember,
  writeTupleMembers,
} from './json.js';
import type { FormatOptions, WallClock } from './options.js';
import { entrySize, stateTokens, writeLabelNames } from './shared.js';

const OPEN = token('{');
const FLOW = token('"flow":{');
const ID = member('id');
const STATE = token('"state":"');
const STATES = stateTokens('",');
const TIMEOUT = member('timeout');
const ORIGINAL_OPEN = token('"original":{');
const REPLY_OPEN = token('"reply":{');
const PACKETS = member('packets');
const BYTES = member('bytes');
const SEQ_ADJ = token('"seqAdj":{');
const CORRECTION_POS = member('correctionPos');
const OFFSET_BEFORE = member('offsetBefore');
const OFFSET_AFTER = member('offsetAfter');
const STATUS = token('"status":[');
const STATUS_WORDS = bitTokens(STATUS_NAMES);
const MARK = member('mark');
const ZONE = member('zone');
const LABELS = token('"labels":[');
const LABEL_NAMES = token('"labelNames":[');
const QUOTE = token('"');
const QUOTE_COMMA = token('",');
const HELPER = member('helper');
const HELPER_INFO = member('helperInfo');
const MASTER_OPEN = token('"master":{');
const SECMARK = member('secmark');
const SECCTX = member('secctx');
const USE = member('use');
const TIMES = token('"timestamp":{');
const START = member('start');
const STOP = member('stop');
const TCP = token('"tcp":{');
const WSCALE_ORIGINAL = member('wscaleOriginal');
const WSCALE_REPLY = member('wscaleReply');
const FLAGS_ORIGINAL = member('flagsOriginal');
const FLAGS_REPLY = member('flagsReply');
const SCTP = token('"sctp":{');
const VTAG_ORIGINAL = member('vtagOriginal');
const VTAG_REPLY = member('vtagReply');
const DCCP = token('"dccp":{');
const ROLE = DCCP_ROLES.map((role) => textMember('role', role));
const HANDSHAKE_SEQ = member('handshakeSeq');
const SYNPROXY = token('"synproxy":{');
const ISN = member('isn');
const ITS = member('its');
const TSOFF = member('tsoff');

/** A label bit takes at most this many bytes: `1023,`. */
const BYTES_PER_LABEL = 8;

/** Appends one object, without a newline behind it. With `options.event` the flow is the member `flow` of the event's object. */
export function writeFlowJson(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns) + view.length(S.labels) * 8 * BYTES_PER_LABEL);
  if (options.event) {
    openEvent(out, view, options, clock, S.timestampEvent);
    out.token(FLOW);
  } else {
    out.token(OPEN);
    options.netns?.writeJson(out);
  }
  writeMembers(out, view, options);
  endObject(out);
  if (options.event) endObject(out);
  endValue(out);
}

function writeMembers(out: ByteWriter, view: View, options: FormatOptions): void {
  if (view.has(S.id)) writeBe32Member(out, ID, view, S.id);
  writeFamily(out, view);
  writeProtocol(out, view.u8(ORIGINAL + T.protonum));
  const states = STATES[view.u8(ORIGINAL + T.protonum)];
  if (states && view.has(states.slot)) {
    out.token(STATE);
    out.token(states.words[view.u8(states.slot)] ?? states.words[0]!);
  }
  if (view.has(S.timeout)) writeBe32Member(out, TIMEOUT, view, S.timeout);
  writeSide(out, view, ORIGINAL, ORIGINAL_OPEN, S.packetsOriginal, S.bytesOriginal, S.seqAdjOriginalPos);
  writeSide(out, view, REPLY, REPLY_OPEN, S.packetsReply, S.bytesReply, S.seqAdjReplyPos);
  if (view.has(S.status)) writeBitsMember(out, STATUS, view.be32(S.status), STATUS_WORDS);
  if (view.has(S.mark)) writeBe32Member(out, MARK, view, S.mark);
  if (view.has(S.zone)) writeNumberMember(out, ZONE, view.be16(S.zone));
  if (view.has(S.labels)) writeLabels(out, view, options.labels);
  if (view.has(S.helper)) writeStringMember(out, HELPER, view, S.helper);
  if (view.has(S.helperInfo)) writeHexMember(out, HELPER_INFO, view, S.helperInfo);
  if (view.has(MASTER + T.protonum)) {
    out.token(MASTER_OPEN);
    writeTupleMembers(out, view, MASTER);
    endObject(out);
  }
  if (view.has(S.secmark)) writeBe32Member(out, SECMARK, view, S.secmark);
  if (view.has(S.secctx)) writeStringMember(out, SECCTX, view, S.secctx);
  if (view.has(S.use)) writeBe32Member(out, USE, view, S.use);
  if (view.has(S.timestampStart) || view.has(S.timestampStop)) {
    out.token(TIMES);
    if (view.has(S.timestampStart)) writeCounterMember(out, START, view, S.timestampStart);
    if (view.has(S.timestampStop)) writeCounterMember(out, STOP, view, S.timestampStop);
    endObject(out);
  }
  writeProtocolMembers(out, view);
}

function writeSide(out: ByteWriter, view: View, base: number, open: Token, packets: number, bytes: number, seqAdj: number): void {
  out.token(open);
  writeTupleMembers(out, view, base);
  if (view.has(packets)) writeCounterMember(out, PACKETS, view, packets);
  if (view.has(bytes)) writeCounterMember(out, BYTES, view, bytes);
  if (view.any32x3(seqAdj)) {
    out.token(SEQ_ADJ);
    writeBe32Member(out, CORRECTION_POS, view, seqAdj);
    writeBe32Member(out, OFFSET_BEFORE, view, seqAdj + 1);
    writeBe32Member(out, OFFSET_AFTER, view, seqAdj + 2);
    endObject(out);
  }
  endObject(out);
}

function writeLabels(out: ByteWriter, view: View, names: LabelMap | undefined): void {
  out.token(LABELS);
  const words = view.length(S.labels) >> 2;
  for (let word = 0; word < words; word++) {
    const bits = view.labelWord(S.labels, word);
    for (let bit = 0; bit < 32; bit++) {
      if (((bits >>> bit) & 1) === 0) continue;
      out.decimal(word * 32 + bit);
      out.byte(44); // ,
    }
  }
  endArray(out);
  if (!names) return;
  out.token(LABEL_NAMES);
  writeLabelNames(out, view, names, QUOTE, QUOTE_COMMA);
  endArray(out);
}

function writeProtocolMembers(out: ByteWriter, view: View): void {
  if (view.has(S.tcpWscaleOriginal) || view.has(S.tcpWscaleReply) || view.has(S.tcpFlagsOriginal) || view.has(S.tcpFlagsReply)) {
    out.token(TCP);
    if (view.has(S.tcpWscaleOriginal)) writeNumberMember(out, WSCALE_ORIGINAL, view.u8(S.tcpWscaleOriginal));
    if (view.has(S.tcpWscaleReply)) writeNumberMember(out, WSCALE_REPLY, view.u8(S.tcpWscaleReply));
    if (view.has(S.tcpFlagsOriginal)) writeNumberMember(out, FLAGS_ORIGINAL, view.u8(S.tcpFlagsOriginal));
    if (view.has(S.tcpFlagsReply)) writeNumberMember(out, FLAGS_REPLY, view.u8(S.tcpFlagsReply));
    endObject(out);
  }
  if (view.has(S.sctpVtagOriginal) || view.has(S.sctpVtagReply)) {
    out.token(SCTP);
    if (view.has(S.sctpVtagOriginal)) writeBe32Member(out, VTAG_ORIGINAL, view, S.sctpVtagOriginal);
    if (view.has(S.sctpVtagReply)) writeBe32Member(out, VTAG_REPLY, view, S.sctpVtagReply);
    endObject(out);
  }
  if (view.has(S.dccpRole) || view.has(S.dccpHandshakeSeq)) {
    out.token(DCCP);
    if (view.has(S.dccpRole)) out.token(ROLE[view.u8(S.dccpRole)] ?? ROLE[0]!);
    if (view.has(S.dccpHandshakeSeq)) writeCounterMember(out, HANDSHAKE_SEQ, view, S.dccpHandshakeSeq);
    endObject(out);
  }
  if (view.any32x3(S.synproxyIsn)) {
    out.token(SYNPROXY);
    writeBe32Member(out, ISN, view, S.synproxyIsn);
    writeBe32Member(out, ITS, view, S.synproxyIts);
    writeBe32Member(out, TSOFF, view, S.synproxyTsoff);
    endObject(out);
  }
}
