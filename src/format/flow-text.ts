// The text line of a flow: `conntrack -L`, `-G`, `-E`. Order and spacing: docs/behaviour.md 5.2, 5.3.

import { familyName } from '../ctnetlink/address.js';
import { type DirectionRow, ORIGINAL, ORIGINAL_SIDE, REPLY, REPLY_SIDE, S, T } from '../ctnetlink/fields.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import { writeEventType, writeOrigin, writeUserspace } from './event-words.js';
import type { FormatOptions, WallClock } from './format-options.js';
import type { Choice, PlanBuilder } from './plan.js';
import { LINE } from './safe-bytes.js';
import { entrySize, icmpSlots, nanosecondsOf, SPACE, secondsOf, stateWords, writeLabelNames, writeLine } from './shared.js';

const CLOSE = token('] ');
const LABELS = token('labels=');
const COMMA = token(',');
const NOTHING = token('');
const STATES = stateWords(' ');
const UNREPLIED: readonly Choice[] = [[IPS_SEEN_REPLY, 0, '[UNREPLIED] ']];
/** Only the first that applies is shown. */
const STRONGEST: readonly Choice[] = [
  [IPS_HW_OFFLOAD, IPS_HW_OFFLOAD, '[HW_OFFLOAD] '],
  [IPS_OFFLOAD, IPS_OFFLOAD, '[OFFLOAD] '],
  [IPS_ASSURED, IPS_ASSURED, '[ASSURED] '],
];
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].map((name) => token(`${name} `));
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ').map((name) => token(`${name} `));

/** Appends one line. */
export function writeFlowText(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns));
  writeLine(out, view, options, clock, describe);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  if (options.netns) plan.write(writeNetns);
  if (options.event) {
    if (options.timestamp) plan.write(writeEventTime);
    plan.write(writeEventType);
  }
  if (options.layer3) plan.text(`${familyName(view.family).padEnd(8)} ${view.family} `);
  const protonum = view.u8(ORIGINAL + T.protonum);
  if (view.has(ORIGINAL + T.protonum)) plan.text(`${protocolByNumber(protonum).name.padEnd(8)} ${protonum} `);
  if (view.has(S.timeout)) plan.u32('', S.timeout, ' ');
  const states = STATES[protonum];
  if (states && view.has(states.slot)) plan.word8(states.slot, states.words);
  describeTuple(plan, view, ORIGINAL, 'zone-orig=');
  describeCounters(plan, view, ORIGINAL_SIDE);
  if (view.has(S.status)) plan.choose32(S.status, UNREPLIED);
  describeTuple(plan, view, REPLY, 'zone-reply=');
  describeCounters(plan, view, REPLY_SIDE);
  plan.choose32(S.status, STRONGEST);
  if (view.has(S.mark)) plan.u32('mark=', S.mark, ' ');
  if (view.has(S.secmark)) plan.u32('secmark=', S.secmark, ' ');
  if (view.has(S.secctx)) plan.string(LINE, 'secctx=', S.secctx, ' ');
  if (view.has(S.zone)) plan.u16('zone=', S.zone, ' ');
  if (view.has(S.timestampStart)) plan.text('delta-time=').write(writeDeltaTime);
  if (options.ktimestamp) {
    if (view.has(S.timestampStart)) plan.text('[start=').write(writeStart);
    if (view.has(S.timestampStop)) plan.text('[stop=').write(writeStop);
  }
  if (view.has(S.helper)) plan.string(LINE, 'helper=', S.helper, ' ');
  if (view.has(S.use)) plan.u32('use=', S.use, ' ');
  if (options.id && view.has(S.id)) plan.u32('id=', S.id, ' ');
  if (options.labels && view.has(S.labels)) plan.write(writeLabels);
  if (options.event) plan.write(writeUserspace).write(writeOrigin);
}

function describeTuple(plan: PlanBuilder, view: View, base: number, zone: string): void {
  plan.address('src=', base + T.v4Src, base + T.v6Src);
  plan.address(' dst=', base + T.v4Dst, base + T.v6Dst, ' ');
  describeTupleLayer4(plan, base, view.u8(base + T.protonum));
  if (view.has(base + T.tupleZone)) plan.u16(zone, base + T.tupleZone, ' ');
}

/** Ports, keys or ICMP fields of the tuple at `base`, as protocol `protonum` has them. */
export function describeTupleLayer4(plan: PlanBuilder, base: number, protonum: number): void {
  const { tuple } = protocolByNumber(protonum);
  switch (tuple) {
    case 'ports':
      plan.u16('sport=', base + T.sport).u16(' dport=', base + T.dport, ' ');
      break;
    case 'keys':
      plan.hex16('srckey=0x', base + T.sport).hex16(' dstkey=0x', base + T.dport, ' ');
      break;
    case 'icmp':
    case 'icmpv6': {
      const { type, code, id } = icmpSlots(tuple, base);
      plan.u8('type=', type).u8(' code=', code).u16(' id=', id, ' ');
      break;
    }
    case 'none':
      break;
  }
}

function describeCounters(plan: PlanBuilder, view: View, { packets, bytes }: DirectionRow): void {
  if (view.has(packets) && view.has(bytes)) plan.u64('packets=', packets).u64(' bytes=', bytes, ' ');
}

/** `netns=NAME `, if the output has entries of several namespaces. */
export function writeNetns(out: ByteWriter, _view: View, options: FormatOptions): void {
  options.netns!.writeText(out);
}

/** Seconds and microseconds of the event: the kernel's own time if it sent one. */
function writeEventTime(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
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

function writeDeltaTime(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
  const end = view.has(S.timestampStop) ? secondsOf(view, S.timestampStop) : clock.seconds;
  out.decimal(Math.max(0, end - secondsOf(view, S.timestampStart)));
  out.byte(SPACE);
}

function writeStart(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
  writeKernelTime(out, view, S.timestampStart, clock);
}

function writeStop(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
  writeKernelTime(out, view, S.timestampStop, clock);
}

/** `Sat Nov 21 22:40:55 2026] `, local time as ctime(3) writes it. */
function writeKernelTime(out: ByteWriter, view: View, slot: number, clock: WallClock): void {
  const date = clock.local(secondsOf(view, slot));
  const day = date.getDate();
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
    out.length = start; // labels without names print nothing: docs/differences.md B19
  else out.bytes[out.length - 1] = SPACE; // over the last comma
}
