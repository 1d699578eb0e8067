// Pieces of JSON that the writers share: members, objects, strings, 64-bit numbers, tuples, the envelope of an event.
// What each member means, with units and ranges: docs/json.md.

import { eventType } from '../ctnetlink/event-type.js';
import { T } from '../ctnetlink/fields.js';
import { generic } from '../ctnetlink/protocols/generic.js';
import { protocolByNumber, PROTOCOLS as TRACKED } from '../ctnetlink/protocols/index.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { bitName } from '../ctnetlink/status.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import { ORIGIN_INITIAL, ORIGIN_KERNEL, type View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './options.js';
import { hasDestination, hasSource, writeCounter, writeDestination, writeSource } from './shared.js';

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OBJECT_END = 125;
const ARRAY_END = 93;
const ZERO_ZERO = token('000');

/** Numbers above 2^53 - 1 lose digits where JSON numbers are doubles: their upper half is more than this. */
const SAFE_HIGH = 0x1fffff;

/** The name of a member as it is written: each member ends with a comma, which `endObject` takes back. */
export function member(name: string): Token {
  return token(`"${name}":`);
}

/** A whole member whose value is a constant text. */
export function textMember(name: string, text: string): Token {
  return token(`"${name}":"${text}",`);
}

/** Ends an object that `{` began and to which members with their commas were added. */
export function endObject(out: ByteWriter): void {
  end(out, OBJECT_END);
}

/** As `endObject`, for an array. */
export function endArray(out: ByteWriter): void {
  end(out, ARRAY_END);
}

function end(out: ByteWriter, bracket: number): void {
  if (out.bytes[out.length - 1] === COMMA) out.dropLast();
  out.byte(bracket);
  out.byte(COMMA);
}

/** Takes back the comma behind the outermost value. */
export function endValue(out: ByteWriter): void {
  out.dropLast();
}

export function writeNumberMember(out: ByteWriter, name: Token, value: number): void {
  out.token(name);
  out.decimal(value);
  out.byte(COMMA);
}

/** A value that is often above 2^31: read here, since such a number as an argument is an object. */
export function writeBe32Member(out: ByteWriter, name: Token, view: View, slot: number): void {
  out.token(name);
  out.decimal(view.be32(slot));
  out.byte(COMMA);
}

/** A 64-bit number: as a number up to 2^53 - 1, as a string of its digits above. Exact in every reader. */
export function writeCounterMember(out: ByteWriter, name: Token, view: View, slot: number): void {
  const quoted = view.high32(slot) >>> 0 > SAFE_HIGH;
  out.token(name);
  if (quoted) out.byte(QUOTE);
  writeCounter(out, view, slot);
  if (quoted) out.byte(QUOTE);
  out.byte(COMMA);
}

const REPLACEMENT = token('\xef\xbf\xbd');
const ESCAPED = token('\\u00');

/** A string that the kernel sent, as UTF-8. What is not UTF-8 becomes U+FFFD, as TextDecoder has it. */
export function writeStringMember(out: ByteWriter, name: Token, view: View, slot: number): void {
  writeBytesMember(out, name, view.bytes, view.offset(slot), view.stringLength(slot));
}

/** As `writeStringMember`, for bytes from elsewhere. */
function writeBytesMember(out: ByteWriter, name: Token, bytes: Uint8Array, start: number, length: number): void {
  out.token(name);
  out.byte(QUOTE);
  const stop = start + length;
  for (let at = start; at < stop; ) {
    const byte = bytes[at]!;
    if (byte >= 0x80) {
      const size = utf8Size(bytes, at, stop);
      if (size > 0) out.raw(bytes, at, size);
      else out.token(REPLACEMENT);
      at += Math.abs(size);
      continue;
    }
    if (byte < 32) {
      out.token(ESCAPED);
      out.hex(byte >> 4);
      out.hex(byte & 15);
    } else {
      if (byte === QUOTE || byte === BACKSLASH) out.byte(BACKSLASH);
      out.byte(byte);
    }
    at++;
  }
  out.byte(QUOTE);
  out.byte(COMMA);
}

/** Bytes of the UTF-8 sequence at `at`, negative where it is broken: as many belong together as one U+FFFD. Source: WHATWG Encoding. */
function utf8Size(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  const more = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
  if (more === 0) return -1;
  let lower = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  let upper = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let n = 1; n <= more; n++) {
    if (at + n >= end || bytes[at + n]! < lower || bytes[at + n]! > upper) return -n;
    lower = 0x80;
    upper = 0xbf;
  }
  return more + 1;
}

/** Bytes as pairs of hexadecimal digits. */
export function writeHexMember(out: ByteWriter, name: Token, view: View, slot: number): void {
  out.token(name);
  out.byte(QUOTE);
  const at = view.offset(slot);
  const size = view.length(slot);
  for (let i = 0; i < size; i++) {
    out.hex(view.bytes[at + i]! >> 4);
    out.hex(view.bytes[at + i]! & 15);
  }
  out.byte(QUOTE);
  out.byte(COMMA);
}

/** Names of bits as array elements, made once. */
export function bitTokens(names: readonly string[]): readonly Token[] {
  return Array.from({ length: 32 }, (_, bit) => token(`"${bitName(names, bit)}",`));
}

export function writeBitsMember(out: ByteWriter, name: Token, bits: number, words: readonly Token[]): void {
  out.token(name);
  for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) out.token(words[bit]!);
  endArray(out);
}

const FAMILY_IPV4 = textMember('family', 'ipv4');
const FAMILY_IPV6 = textMember('family', 'ipv6');
const FAMILY_UNKNOWN = textMember('family', 'unknown');

export function writeFamily(out: ByteWriter, view: View): void {
  out.token(view.family === AF_INET ? FAMILY_IPV4 : view.family === AF_INET6 ? FAMILY_IPV6 : FAMILY_UNKNOWN);
}

const PROTOCOLS: ReadonlyMap<Protocol, Token> = new Map(
  [...TRACKED, generic].map((protocol) => [protocol, textMember('protocol', protocol.name)]),
);

export function writeProtocol(out: ByteWriter, protonum: number): void {
  out.token(PROTOCOLS.get(protocolByNumber(protonum))!);
}

const SRC = token('"src":"');
const DST = token('"dst":"');
const STRING_END = token('",');
const PROTONUM = member('protonum');
const SPORT = member('sport');
const DPORT = member('dport');
const ICMP_TYPE = member('icmpType');
const ICMP_CODE = member('icmpCode');
const ICMP_ID = member('icmpId');
const ZONE = member('zone');

/** The members of the tuple at `base` that the kernel sent. */
export function writeTupleMembers(out: ByteWriter, view: View, base: number): void {
  if (hasSource(view, base)) {
    out.token(SRC);
    writeSource(out, view, base);
    out.token(STRING_END);
  }
  if (hasDestination(view, base)) {
    out.token(DST);
    writeDestination(out, view, base);
    out.token(STRING_END);
  }
  if (view.has(base + T.protonum)) writeNumberMember(out, PROTONUM, view.u8(base + T.protonum));
  if (view.has(base + T.sport)) writeNumberMember(out, SPORT, view.be16(base + T.sport));
  if (view.has(base + T.dport)) writeNumberMember(out, DPORT, view.be16(base + T.dport));
  writeIcmp8(out, ICMP_TYPE, view, base + T.icmpType, base + T.icmpv6Type);
  writeIcmp8(out, ICMP_CODE, view, base + T.icmpCode, base + T.icmpv6Code);
  if (view.has(base + T.icmpId)) writeNumberMember(out, ICMP_ID, view.be16(base + T.icmpId));
  else if (view.has(base + T.icmpv6Id)) writeNumberMember(out, ICMP_ID, view.be16(base + T.icmpv6Id));
  if (view.has(base + T.tupleZone)) writeNumberMember(out, ZONE, view.be16(base + T.tupleZone));
}

/** ICMP and ICMPv6 have attributes of their own, but the same members: an entry is of one of them. */
function writeIcmp8(out: ByteWriter, name: Token, view: View, v4: number, v6: number): void {
  if (view.has(v4)) writeNumberMember(out, name, view.u8(v4));
  else if (view.has(v6)) writeNumberMember(out, name, view.u8(v6));
}

const EVENT_OPEN = ['NEW', 'UPDATE', 'DESTROY'].map((type) => token(`{"type":"${type}",`));
const TIMESTAMP = member('timestamp');
const TIMESTAMP_TEXT = token('"timestamp":"');
const PORT_ID = member('portId');
const PROGRAM = member('program');
const INITIAL = textMember('origin', 'initial');
const RESYNC = textMember('origin', 'resync');

/**
 * Opens the object of an event: its type; when it happened, by the kernel, or with `options.timestamp` by our clock; the socket
 * that caused it and its program; whether a list supplied it. The entry follows as a member.
 * @param kernelTime slot of the kernel's time of the event; negative when such messages have none
 */
export function openEvent(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock, kernelTime: number): void {
  out.token(EVENT_OPEN[eventType(view)]!);
  options.netns?.writeJson(out);
  if (kernelTime >= 0 && view.has(kernelTime)) writeCounterMember(out, TIMESTAMP, view, kernelTime);
  else if (options.timestamp) {
    out.token(TIMESTAMP_TEXT);
    out.decimal(clock.seconds);
    out.padded(clock.microseconds, 6);
    out.token(ZERO_ZERO);
    out.token(STRING_END);
  }
  if (view.portId !== 0) {
    writeNumberMember(out, PORT_ID, view.portId);
    const program = options.programName?.(view.portId);
    if (program) writeBytesMember(out, PROGRAM, program, 0, program.length);
  }
  if (view.origin !== ORIGIN_KERNEL) out.token(view.origin === ORIGIN_INITIAL ? INITIAL : RESYNC);
}
