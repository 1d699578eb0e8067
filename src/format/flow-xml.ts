// The XML element of a flow. Order and elements: cli.md 5.5.

import { ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { IPS_ASSURED, IPS_EXPECTED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './options.js';
import {
  entrySize,
  nanosecondsOf,
  secondsOf,
  stateTokens,
  writeCounter,
  writeDestination,
  writeLabelNames,
  writeSource,
} from './shared.js';
import {
  FLOW_CLOSE,
  LAYER3_CLOSE,
  tag,
  writeElement,
  writeFlowOpen,
  writeLayer3Open,
  writeStringElement,
  writeWhen,
  xmlFrame,
} from './xml.js';
import { LAYER4_CLOSE, writeLayer4Members, writeLayer4Open } from './xml-layer4.js';

export const CONNTRACK_FRAME = xmlFrame('conntrack');

const META_ORIGINAL = token('<meta direction="original">');
const META_REPLY = token('<meta direction="reply">');
const META_INDEPENDENT = token('<meta direction="independent">');
const META_CLOSE = token('</meta>');
const SRC = tag('src');
const DST = tag('dst');
const ZONE = tag('zone');
const COUNTERS_OPEN = token('<counters><packets>');
const COUNTERS_BYTES = token('</packets><bytes>');
const COUNTERS_CLOSE = token('</bytes></counters>');
const STATE = tag('state');
const TIMEOUT = tag('timeout');
const MARK = tag('mark');
const LABELS = tag('labels');
const LABEL = tag('label');
const SECMARK = tag('secmark');
const SECCTX = tag('secctx');
const USE = tag('use');
const ID = tag('id');
const ASSURED = token('<assured/>');
const UNREPLIED = token('<unreplied/>');
const EXPECTED = token('<expected/>');
const OFFLOAD = token('<offload/>');
const HW_OFFLOAD = token('<hw-offload/>');
const TIMESTAMP = tag('timestamp');
const START = tag('start');
const STOP = tag('stop');
const DELTA_TIME = tag('deltatime');
const HELPER = tag('helper');

const STATES = stateTokens('');

/** Appends one element and its newline. */
export function writeFlowXml(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns));
  writeFlowOpen(out, view, options);
  writeDirection(out, view, ORIGINAL, META_ORIGINAL, S.packetsOriginal, S.bytesOriginal);
  writeDirection(out, view, REPLY, META_REPLY, S.packetsReply, S.bytesReply);
  writeIndependent(out, view, options, clock);
  if (options.event && options.timestamp)
    writeWhen(out, view.has(S.timestampEvent) ? secondsOf(view, S.timestampEvent) : clock.seconds, clock);
  if (view.has(S.helper)) writeStringElement(out, HELPER, view, S.helper);
  out.token(FLOW_CLOSE);
  out.endEntry();
}

function writeDirection(out: ByteWriter, view: View, base: number, meta: Token, packets: number, bytes: number): void {
  out.token(meta);
  writeLayer3Open(out, view);
  out.token(SRC.open);
  writeSource(out, view, base);
  out.token(SRC.close);
  out.token(DST.open);
  writeDestination(out, view, base);
  out.token(DST.close);
  out.token(LAYER3_CLOSE);
  const protonum = view.u8(base + T.protonum);
  writeLayer4Open(out, protonum);
  writeLayer4Members(out, view, base, protonum);
  out.token(LAYER4_CLOSE);
  if (view.has(base + T.tupleZone)) writeElement(out, ZONE, view.be16(base + T.tupleZone));
  // Both directions show counters as soon as the original one has them.
  if (view.has(S.packetsOriginal) && view.has(S.bytesOriginal)) {
    out.token(COUNTERS_OPEN);
    writeCounter(out, view, packets);
    out.token(COUNTERS_BYTES);
    writeCounter(out, view, bytes);
    out.token(COUNTERS_CLOSE);
  }
  out.token(META_CLOSE);
}

function writeIndependent(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  const start = out.length;
  out.token(META_INDEPENDENT);
  const opened = out.length;
  const states = STATES[view.u8(ORIGINAL + T.protonum)];
  if (states && view.has(states.slot)) {
    out.token(STATE.open);
    out.token(states.words[view.u8(states.slot)] ?? states.words[0]!);
    out.token(STATE.close);
  }
  if (view.has(S.timeout)) writeElement(out, TIMEOUT, view.be32(S.timeout));
  if (view.has(S.mark)) writeElement(out, MARK, view.be32(S.mark));
  if (options.labels && view.has(S.labels)) {
    out.token(LABELS.open);
    writeLabelNames(out, view, options.labels, LABEL.open, LABEL.close);
    out.token(LABELS.close);
  }
  if (view.has(S.secmark)) writeElement(out, SECMARK, view.be32(S.secmark));
  if (view.has(S.secctx)) writeStringElement(out, SECCTX, view, S.secctx);
  if (view.has(S.zone)) writeElement(out, ZONE, view.be16(S.zone));
  if (view.has(S.use)) writeElement(out, USE, view.be32(S.use));
  if (view.has(S.id)) writeElement(out, ID, view.be32(S.id));
  if (view.has(S.status)) writeStatus(out, view.be32(S.status));
  if (view.has(S.timestampStart)) writeTimes(out, view, options, clock);
  if (out.length === opened) out.length = start;
  else out.token(META_CLOSE);
}

/** Assured and unreplied as the C tool has them; the others are ours (B12). */
function writeStatus(out: ByteWriter, status: number): void {
  if (status & IPS_ASSURED) out.token(ASSURED);
  if ((status & IPS_SEEN_REPLY) === 0) out.token(UNREPLIED);
  if (status & IPS_EXPECTED) out.token(EXPECTED);
  if (status & IPS_OFFLOAD) out.token(OFFLOAD);
  if (status & IPS_HW_OFFLOAD) out.token(HW_OFFLOAD);
}

function writeTimes(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  const stopped = view.has(S.timestampStop);
  if (options.ktimestamp) {
    out.token(TIMESTAMP.open);
    writeNanoseconds(out, START.open, view, S.timestampStart, START.close);
    if (stopped) writeNanoseconds(out, STOP.open, view, S.timestampStop, STOP.close);
    out.token(TIMESTAMP.close);
  }
  // With a stop time the difference is taken in nanoseconds and cut, unlike in text (B13).
  let age = (stopped ? secondsOf(view, S.timestampStop) : clock.seconds) - secondsOf(view, S.timestampStart);
  if (stopped && nanosecondsOf(view, S.timestampStop) < nanosecondsOf(view, S.timestampStart)) age--;
  writeElement(out, DELTA_TIME, Math.max(0, age));
}

function writeNanoseconds(out: ByteWriter, open: Token, view: View, slot: number, close: Token): void {
  out.token(open);
  writeCounter(out, view, slot);
  out.token(close);
}
