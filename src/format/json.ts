// Pieces of JSON that the writers share: members, objects, 64-bit numbers, tuples, the envelope of an event.
// What each member means, with units and ranges: docs/json.md.

import { familyName } from '../ctnetlink/address.js';
import { eventType } from '../ctnetlink/event-type.js';
import { T } from '../ctnetlink/fields.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { bitName } from '../ctnetlink/status.js';
import { ORIGIN_INITIAL, ORIGIN_KERNEL, type View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import type { PlanBuilder } from './plan.js';
import { JSON_STRING, writeSafe } from './safe-bytes.js';
import { hasDestination, hasSource } from './shared.js';

const COMMA = 44;
const OBJECT_END = 125;
const ARRAY_END = 93;
const ZERO_ZERO = token('000');

/** The name of a member as written. Each member ends with a comma, and the end of the object removes the last one. */
export function member(name: string): Token {
  return token(`"${name}":`);
}

/** A whole member whose value is a constant text. */
export function textMember(name: string, text: string): string {
  return `"${name}":"${text}",`;
}

/** A number between other members. */
export function writeNumberMember(out: ByteWriter, name: Token, value: number): void {
  out.token(name);
  out.decimal(value);
  out.byte(COMMA);
}

/** Ends an object that `{` began and to which members with their commas were added. */
export function describeEnd(plan: PlanBuilder): void {
  if (!plan.takeBack(',')) plan.write(dropComma);
  plan.text('},');
}

function dropComma(out: ByteWriter): void {
  if (out.bytes[out.length - 1] === COMMA) out.dropLast();
}

/** As `describeEnd`, for an object that is written directly. */
export function endObject(out: ByteWriter): void {
  end(out, OBJECT_END);
}

/** As `endObject`, for an array. */
export function endArray(out: ByteWriter): void {
  end(out, ARRAY_END);
}

function end(out: ByteWriter, bracket: number): void {
  dropComma(out);
  out.byte(bracket);
  out.byte(COMMA);
}

/** Removes the comma after the outermost value. */
export function endValue(out: ByteWriter): void {
  out.dropLast();
}

/** A member whose value is bytes as pairs of hexadecimal digits. */
export function describeHex(plan: PlanBuilder, name: string, slot: number): void {
  plan.text(`"${name}":"`).write((out, view) => {
    const at = view.offset(slot);
    const size = view.length(slot);
    for (let i = 0; i < size; i++) {
      out.hex(view.bytes[at + i]! >> 4);
      out.hex(view.bytes[at + i]! & 15);
    }
  });
  plan.text('",');
}

/** Names of bits as array elements, made once. */
export function bitTokens(names: readonly string[]): readonly Token[] {
  return Array.from({ length: 32 }, (_, bit) => token(`"${bitName(names, bit)}",`));
}

/** A member whose value is the names of the bits that are set. */
export function describeBits(plan: PlanBuilder, name: string, slot: number, words: readonly Token[]): void {
  plan.text(`"${name}":[`).write((out, view) => {
    const bits = view.be32(slot);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) out.token(words[bit]!);
    endArray(out);
  });
}

/** The members `family` and `protocol`. */
export function kindMembers(view: View, protonum: number): string {
  return textMember('family', familyName(view.family)) + textMember('protocol', protocolByNumber(protonum).name);
}

/** The members of the tuple at `base` that the kernel sent. */
export function describeTuple(plan: PlanBuilder, view: View, base: number): void {
  if (hasSource(view, base)) plan.address('"src":"', base + T.v4Src, base + T.v6Src, '",');
  if (hasDestination(view, base)) plan.address('"dst":"', base + T.v4Dst, base + T.v6Dst, '",');
  if (view.has(base + T.protonum)) plan.u8('"protonum":', base + T.protonum, ',');
  if (view.has(base + T.sport)) plan.u16('"sport":', base + T.sport, ',');
  if (view.has(base + T.dport)) plan.u16('"dport":', base + T.dport, ',');
  // ICMP and ICMPv6 have separate attributes, but the same members: an entry belongs to one of them.
  const either = (v4: number, v6: number) => [v4, v6].find((slot) => view.has(slot));
  const type = either(base + T.icmpType, base + T.icmpv6Type);
  const code = either(base + T.icmpCode, base + T.icmpv6Code);
  const id = either(base + T.icmpId, base + T.icmpv6Id);
  if (type !== undefined) plan.u8('"icmpType":', type, ',');
  if (code !== undefined) plan.u8('"icmpCode":', code, ',');
  if (id !== undefined) plan.u16('"icmpId":', id, ',');
  if (view.has(base + T.tupleZone)) plan.u16('"zone":', base + T.tupleZone, ',');
}

const EVENT_OPEN = ['NEW', 'UPDATE', 'DESTROY'].map((type) => token(`{"type":"${type}",`));
const TIMESTAMP = member('timestamp');
const TIMESTAMP_TEXT = token('"timestamp":"');
const PORT_ID = member('portId');
const PROGRAM = token('"program":"');
const PID = member('pid');
const STRING_END = token('",');
const INITIAL = token(textMember('origin', 'initial'));
const RESYNC = token(textMember('origin', 'resync'));

/**
 * The object of an entry; in the object of an event it is the member `name`.
 * @param kernelTime slot of the kernel's time of the event; negative if such messages have none
 */
export function describeEntry(
  plan: PlanBuilder,
  options: FormatOptions,
  name: string,
  kernelTime: number,
  describeMembers: () => void,
): void {
  if (options.event) plan.write((out, view, given, clock) => openEvent(out, view, given, clock, kernelTime)).text(`"${name}":{`);
  else {
    plan.text('{');
    if (options.netns) plan.write(writeNetns);
  }
  describeMembers();
  describeEnd(plan);
  if (options.event) describeEnd(plan);
}

/**
 * Opens the object of an event: its type; when it happened, by the kernel, or with `options.timestamp` by our clock; the socket
 * that caused it and its program; whether a list supplied it. The entry follows as a member.
 */
function openEvent(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock, kernelTime: number): void {
  out.token(EVENT_OPEN[eventType(view)]!);
  options.netns?.writeJson(out);
  if (kernelTime >= 0 && view.has(kernelTime)) {
    out.token(TIMESTAMP);
    out.safe64(view.high32(kernelTime), view.low32(kernelTime));
    out.byte(COMMA);
  } else if (options.timestamp) {
    out.token(TIMESTAMP_TEXT);
    out.decimal(clock.seconds);
    out.padded(clock.microseconds, 6);
    out.token(ZERO_ZERO);
    out.token(STRING_END);
  }
  if (view.portId !== 0) {
    writeNumberMember(out, PORT_ID, view.portId);
    const program = options.program?.(view.portId);
    if (program) {
      out.token(PROGRAM);
      writeSafe(out, program.name, 0, program.name.length, JSON_STRING);
      out.token(STRING_END);
      writeNumberMember(out, PID, program.pid);
    }
  }
  if (view.origin !== ORIGIN_KERNEL) out.token(view.origin === ORIGIN_INITIAL ? INITIAL : RESYNC);
}

/** The member `netns`, if the output has entries of several namespaces. */
function writeNetns(out: ByteWriter, _view: View, options: FormatOptions): void {
  options.netns!.writeJson(out);
}
