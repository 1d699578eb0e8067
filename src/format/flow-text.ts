// The text line of a flow: `conntrack -L`, `-G`, `-E`. Order and spacing: cli.md 5.2, 5.3.

import { ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import { IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, TokenTable, token } from './byte-writer.js';
import { writeEventType, writeOrigin, writeUserspace } from './event-words.js';
import type { FormatOptions, WallClock } from './options.js';
import {
  entrySize,
  NEWLINE,
  nanosecondsOf,
  SPACE,
  secondsOf,
  stateTokens,
  writeCounter,
  writeDestination,
  writeLabelNames,
  writeSource,
} from './shared.js';

const UNREPLIED = token('[UNREPLIED] ');
const HW_OFFLOAD = token('[HW_OFFLOAD] ');
const OFFLOAD = token('[OFFLOAD] ');
const ASSURED = token('[ASSURED] ');
const SRC = token('src=');
const DST = token(' dst=');
const SPORT = token('sport=');
const DPORT = token(' dport=');
const SRCKEY = token('srckey=0x');
const DSTKEY = token(' dstkey=0x');
const TYPE = token('type=');
const CODE = token(' code=');
const ID = token(' id=');
const ZONE_ORIG = token('zone-orig=');
const ZONE_REPLY = token('zone-reply=');
const PACKETS = token('packets=');
const BYTES = token(' bytes=');
const MARK = token('mark=');
const SECMARK = token('secmark=');
const SECCTX = token('secctx=');
const ZONE = token('zone=');
const DELTA_TIME = token('delta-time=');
const START = token('[start=');
const STOP = token('[stop=');
const CLOSE = token('] ');
const HELPER = token('helper=');
const USE = token('use=');
const ENTRY_ID = token('id=');
const LABELS = token('labels=');
const COMMA = token(',');
const NOTHING = token('');
const IPV4 = token('ipv4     2 ');
const IPV6 = token('ipv6     10 ');
const UNKNOWN = token('unknown  ');

const STATES = stateTokens(' ');
const LAYER4 = new TokenTable((n) => `${protocolByNumber(n).name.padEnd(8)} ${n} `);
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].map((name) => token(`${name} `));
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ').map((name) => token(`${name} `));

/** Appends one line. */
export function writeFlowText(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns));
  options.netns?.writeText(out);
  if (options.event) {
    if (options.timestamp) writeEventTime(out, view, clock);
    writeEventType(out, view);
  }
  if (options.layer3) writeLayer3(out, view);
  if (view.has(ORIGINAL + T.protonum)) out.token(LAYER4.get(view.u8(ORIGINAL + T.protonum)));
  if (view.has(S.timeout)) writeNumber(out, NOTHING, view.be32(S.timeout));
  writeState(out, view);
  writeTuple(out, view, ORIGINAL, ZONE_ORIG);
  if (view.has(S.packetsOriginal) && view.has(S.bytesOriginal)) writeCounters(out, view, S.packetsOriginal, S.bytesOriginal);
  if (view.has(S.status) && (view.be32(S.status) & IPS_SEEN_REPLY) === 0) out.token(UNREPLIED);
  writeTuple(out, view, REPLY, ZONE_REPLY);
  if (view.has(S.packetsReply) && view.has(S.bytesReply)) writeCounters(out, view, S.packetsReply, S.bytesReply);
  writeStatus(out, view.be32(S.status));
  if (view.has(S.mark)) writeNumber(out, MARK, view.be32(S.mark));
  if (view.has(S.secmark)) writeNumber(out, SECMARK, view.be32(S.secmark));
  if (view.has(S.secctx)) writeString(out, SECCTX, view, S.secctx);
  if (view.has(S.zone)) writeNumber(out, ZONE, view.be16(S.zone));
  if (view.has(S.timestampStart)) writeDeltaTime(out, view, clock);
  if (options.ktimestamp) {
    if (view.has(S.timestampStart)) writeKernelTime(out, START, view, S.timestampStart, clock);
    if (view.has(S.timestampStop)) writeKernelTime(out, STOP, view, S.timestampStop, clock);
  }
  if (view.has(S.helper)) writeString(out, HELPER, view, S.helper);
  if (view.has(S.use)) writeNumber(out, USE, view.be32(S.use));
  if (options.id && view.has(S.id)) writeNumber(out, ENTRY_ID, view.be32(S.id));
  if (options.labels && view.has(S.labels)) writeLabels(out, view, options);
  if (options.event) {
    writeUserspace(out, view, options);
    writeOrigin(out, view);
  }
  out.dropLast(); // the space behind the last field
  out.byte(NEWLINE);
  out.endEntry();
}

/** Seconds and microseconds of the event: the kernel's own time where it sent one. */
function writeEventTime(out: ByteWriter, view: View, clock: WallClock): void {
  const kernel = view.has(S.timestampEvent);
  writeTimestamp(
    out,
    kernel ? secondsOf(view, S.timestampEvent) : clock.seconds,
    kernel ? (nanosecondsOf(view, S.timestampEvent) / 1000) | 0 : clock.microseconds,
  );
}

/** `[SECONDS.MICROS]<TAB>`, seconds to at least 8 digits. */
export function writeTimestamp(out: ByteWriter, seconds: number, microseconds: number): void {
  out.byte(91); // [
  if (seconds < 10_000_000) out.padded(seconds, 8);
  else out.decimal(seconds);
  out.byte(46); // .
  out.padded(microseconds, 6);
  out.byte(93); // ]
  out.byte(9); // tab
}

function writeLayer3(out: ByteWriter, view: View): void {
  if (view.family === AF_INET) out.token(IPV4);
  else if (view.family === AF_INET6) out.token(IPV6);
  else writeNumber(out, UNKNOWN, view.family);
}

function writeState(out: ByteWriter, view: View): void {
  const states = STATES[view.u8(ORIGINAL + T.protonum)];
  if (states && view.has(states.slot)) out.token(states.words[view.u8(states.slot)] ?? states.words[0]!);
}

function writeTuple(out: ByteWriter, view: View, base: number, zone: Token): void {
  out.token(SRC);
  writeSource(out, view, base);
  out.token(DST);
  writeDestination(out, view, base);
  out.byte(SPACE);
  writeTupleLayer4(out, view, base, view.u8(base + T.protonum));
  if (view.has(base + T.tupleZone)) writeNumber(out, zone, view.be16(base + T.tupleZone));
}

/** Ports, keys or ICMP fields of the tuple at `base`, as protocol `protonum` has them. */
export function writeTupleLayer4(out: ByteWriter, view: View, base: number, protonum: number): void {
  switch (protocolByNumber(protonum).tuple) {
    case 'ports':
      writeNumber2(out, SPORT, view.be16(base + T.sport), DPORT, view.be16(base + T.dport));
      break;
    case 'keys':
      out.token(SRCKEY);
      out.hex(view.be16(base + T.sport));
      out.token(DSTKEY);
      out.hex(view.be16(base + T.dport));
      out.byte(SPACE);
      break;
    case 'icmp':
      writeIcmp(out, view.u8(base + T.icmpType), view.u8(base + T.icmpCode), view.be16(base + T.icmpId));
      break;
    case 'icmpv6':
      writeIcmp(out, view.u8(base + T.icmpv6Type), view.u8(base + T.icmpv6Code), view.be16(base + T.icmpv6Id));
      break;
    case 'none':
      break;
  }
}

function writeIcmp(out: ByteWriter, type: number, code: number, id: number): void {
  out.token(TYPE);
  out.decimal(type);
  out.token(CODE);
  out.decimal(code);
  out.token(ID);
  out.decimal(id);
  out.byte(SPACE);
}

function writeCounters(out: ByteWriter, view: View, packets: number, bytes: number): void {
  out.token(PACKETS);
  writeCounter(out, view, packets);
  out.token(BYTES);
  writeCounter(out, view, bytes);
  out.byte(SPACE);
}

/** Only the strongest of the three is shown. */
function writeStatus(out: ByteWriter, status: number): void {
  if (status & IPS_HW_OFFLOAD) out.token(HW_OFFLOAD);
  else if (status & IPS_OFFLOAD) out.token(OFFLOAD);
  else if (status & IPS_ASSURED) out.token(ASSURED);
}

function writeDeltaTime(out: ByteWriter, view: View, clock: WallClock): void {
  const end = view.has(S.timestampStop) ? secondsOf(view, S.timestampStop) : clock.seconds;
  writeNumber(out, DELTA_TIME, Math.max(0, end - secondsOf(view, S.timestampStart)));
}

/** `[start=Sat Nov 21 22:40:55 2026] `, local time as ctime(3) writes it. */
function writeKernelTime(out: ByteWriter, name: Token, view: View, slot: number, clock: WallClock): void {
  const date = clock.local(secondsOf(view, slot));
  const day = date.getDate();
  out.token(name);
  out.token(WEEKDAYS[date.getDay()]!);
  out.token(MONTHS[date.getMonth()]!);
  if (day < 10) out.byte(SPACE);
  out.decimal(day);
  out.byte(SPACE);
  out.padded(date.getHours(), 2);
  out.byte(58); // :
  out.padded(date.getMinutes(), 2);
  out.byte(58);
  out.padded(date.getSeconds(), 2);
  out.byte(SPACE);
  out.decimal(date.getFullYear());
  out.token(CLOSE);
}

function writeLabels(out: ByteWriter, view: View, options: FormatOptions): void {
  const start = out.length;
  out.token(LABELS);
  const named = writeLabelNames(out, view, options.labels!, NOTHING, COMMA);
  if (named === 0)
    out.length = start; // B19: a field without a name says nothing
  else out.bytes[out.length - 1] = SPACE; // over the last comma
}

function writeNumber(out: ByteWriter, name: Token, value: number): void {
  out.token(name);
  out.decimal(value);
  out.byte(SPACE);
}

function writeNumber2(out: ByteWriter, name: Token, value: number, second: Token, other: number): void {
  out.token(name);
  out.decimal(value);
  writeNumber(out, second, other);
}

function writeString(out: ByteWriter, name: Token, view: View, slot: number): void {
  out.token(name);
  out.raw(view.bytes, view.offset(slot), view.stringLength(slot));
  out.byte(SPACE);
}
